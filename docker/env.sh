#!/usr/bin/env bash
# The environment of fe_phaseinv: sets up what is missing, then runs something in it.
#   docker/env.sh demo              the main demo
#   docker/env.sh test [--all] ...  the test suite (--all: the slow tests as well); the rest goes to pytest
#   docker/env.sh docs              the pages, into demos/pages/_build
#   docker/env.sh run CMD ...       any command
#   docker/env.sh shell             an interactive shell
#   docker/env.sh setup             nothing more than the setting up
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
here=$root/docker

pins_hash() { { cat "$here/pins.txt" "$here/petsc-options.txt"; sed -n 's/^\(ID\|VERSION_ID\)=//p' /etc/os-release; uname -m; } | sha256sum | cut -c1-12; }
cache=${FE_PHASEINV_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/fe_phaseinv}
env=$cache/env-$(pins_hash)

export HWLOC_COMPONENTS=-gl OMP_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
# Ranks that wait leave the core to those that work, of this run or another.
export OMPI_MCA_mpi_yield_when_idle=1
# With epoll, mpiexec now and then warns on stderr of descriptors that ended while it polled them.
export EVENT_NOEPOLL=1
# In a container inside a Slurm job mpiexec would start its ranks with srun, which is not there.
if [ -n "${SLURM_JOB_ID:-}" ] && ! command -v srun >/dev/null; then
  export OMPI_MCA_plm=${OMPI_MCA_plm:-^slurm} OMPI_MCA_ras=${OMPI_MCA_ras:-^slurm}
fi

say() { echo "env.sh: $*" >&2; }

system_packages() {
  local wanted missing=() package
  mapfile -t wanted <"$here/apt-packages.txt"
  local installed
  installed=$(dpkg-query -W -f '${Package} ${Status}\n' "${wanted[@]}" 2>/dev/null | sed -n 's/ install ok installed$//p' || true)
  for package in "${wanted[@]}"; do
    grep -qx -- "$package" <<<"$installed" || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  if [ "$(id -u)" != 0 ]; then
    say "system packages are missing; install them with:"
    echo "sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  mkdir -p "$cache"
  say "installing ${#missing[@]} system packages (log: $cache/apt.log)"
  install_packages "${missing[@]}" >"$cache/apt.log" 2>&1 </dev/null ||
    { tail -n 30 "$cache/apt.log" >&2; say "installing system packages failed"; exit 1; }
}
install_packages() {
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@"
}

# stage NAME CMD...: runs CMD once; its output goes to NAME.log, of which a failure shows the end.
stage() {
  local name=$1; shift
  [ -e "$env/.stages/$name" ] && return
  say "$name (log: $env/.stages/$name.log)"
  "$@" >"$env/.stages/$name.log" 2>&1 </dev/null || { tail -n 30 "$env/.stages/$name.log" >&2; say "$name failed"; exit 1; }
  touch "$env/.stages/$name"
}

pip() { "$env/bin/python" -m pip --disable-pip-version-check "$@"; }
# The locally built packages depend on the system's libraries, so no wheel of another build may serve.
build() { pip install --no-cache-dir --no-build-isolation --constraint "$here/pins.txt" "$@"; }

build_tools() {
  pip install --upgrade pip wheel
  pip install --upgrade --constraint "$here/pins.txt" setuptools numpy scipy cython pkgconfig pybind11 "rtree>=1.2" petsctools
  pip install --constraint "$here/pins.txt" --no-cache-dir --no-binary mpi4py mpi4py
  pip install --constraint "$here/pins.txt" "firedrake-rtree>=2026.3.0" "libsupermesh>=2026.3"
}
build_petsc() { PETSC_CONFIGURE_OPTIONS=$(tr '\n' ' ' <"$here/petsc-options.txt") build petsc; }
# petsc4py is one generated C file: at -O1 it compiles in a fraction of the time and memory.
build_petsc4py() { CFLAGS=-O1 build petsc4py; }
build_h5py() {
  local multiarch; multiarch=$(gcc -print-multiarch)
  HDF5_MPI=ON CC=mpicc HDF5_INCLUDEDIR=/usr/include/hdf5/openmpi HDF5_LIBDIR=/usr/lib/$multiarch/hdf5/openmpi build --no-binary h5py h5py
}
build_firedrake() {
  build --no-deps firedrake
  pip install --constraint "$here/pins.txt" "firedrake[check]"
}
python_tools() {
  pip install --constraint "$here/pins.txt" meshio vtk matplotlib contourpy pytest mpi-pytest ruff
  pip freeze >"$env/freeze.txt"
  # The code is the clone's own (PYTHONPATH); the environment holds the command alone.
  printf '#!%s\nimport sys\n\nfrom fe_phaseinv.cli import main\n\nsys.exit(main())\n' "$env/bin/python" >"$env/bin/fe-phaseinv"
  chmod +x "$env/bin/fe-phaseinv"
}

# Files of images, and what shows in them. The versions of all that is there stay.
image_tools() { pip install --constraint "$env/freeze.txt" tifffile imagecodecs "scikit-image==0.26.*" "xarray==2026.*" "zarr==3.*"; }

# What xarray reads netCDF with.
netcdf_tools() { pip install --constraint "$env/freeze.txt" "h5netcdf==1.*"; }

# What samples of the posterior are judged and exported with; netCDF files need the stage before.
sampling_tools() { pip install --constraint "$env/freeze.txt" "arviz-base==0.8.*" "arviz-stats==0.8.*"; }

# What only the pages need. The versions of all that is there stay.
docs_tools() { pip install --constraint "$env/freeze.txt" "sphinx==9.*" "myst-parser==5.*" "numpydoc==1.*" "jupytext==1.*" furo; }

setup() {
  system_packages
  [ -e "$env/.stages/sampling_tools" ] && return
  mkdir -p "$env/.stages"
  exec 9>"$env/.stages/lock"
  flock 9
  say "building the environment in $env (about 20 minutes on 2 cores)"
  stage venv /usr/bin/python3 -m venv "$env"
  stage build_tools build_tools
  stage build_petsc build_petsc
  stage build_petsc4py build_petsc4py
  stage build_h5py build_h5py
  stage build_firedrake build_firedrake
  stage python_tools python_tools
  stage meshing pip install gmsh==4.15.2
  stage side_by_side pip install "pytest-xdist==3.*"
  stage image_tools image_tools
  stage netcdf_tools netcdf_tools
  stage sampling_tools sampling_tools
  flock -u 9
  exec 9>&-
}

writable() {
  local folder
  mkdir -p "$@" 2>/dev/null || return 1
  for folder; do [ -w "$folder" ] || return 1; done
}

# Compiled forms lie in the environment or, where this is read-only or another user's, in the user's own cache; who has
# none, as a user without a home in a container, gets a private folder.
caches() {
  local compiled=$env/.cache private=${TMPDIR:-/tmp}/fe_phaseinv-$(id -u)
  if ! writable "${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}"; then
    mkdir -m 700 "$private" 2>/dev/null || true
    [ -O "$private" ] && [ ! -L "$private" ] || private=$(mktemp -d)
    export HOME=${HOME:-$private} XDG_CACHE_HOME=$private MPLCONFIGDIR=${MPLCONFIGDIR:-$private/matplotlib}
  fi
  writable "$compiled/pyop2" "$compiled/tsfc" || compiled=${XDG_CACHE_HOME:-$HOME/.cache}/fe_phaseinv/forms-${env##*-}
  export PYOP2_CACHE_DIR=$compiled/pyop2 FIREDRAKE_TSFC_KERNEL_CACHE_DIR=$compiled/tsfc
}

activate() {
  export VIRTUAL_ENV=$env PATH=$env/bin:$PATH PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
  caches
  unset PETSC_DIR PETSC_ARCH PYTHONHOME
}

# Tests on 3 ranks run in one mpiexec of their own: Open MPI cannot start one from inside a process that uses MPI.
run_tests() {
  local args=() side_by_side=() every="not slow" arg serial=0 parallel=0
  for arg; do [ "$arg" = --all ] && every="slow or not slow" || args+=("$arg"); done
  # The files of the whole suite are dealt to the cores; a few tests are sooner done by one process.
  [ ${#args[@]} = 0 ] && side_by_side=(-n "$(env -u OMP_NUM_THREADS nproc)" --maxprocesses 8 --dist loadfile)
  python -m pytest -m "not parallel[3] and ($every)" "${side_by_side[@]}" "${args[@]}" || serial=$?
  # Only the root reports. Where one rank fails, others may wait for it for ever.
  PETSC_OPTIONS="-options_left 0" mpiexec -n 3 --timeout 900 bash -c '[ "$OMPI_COMM_WORLD_RANK" = 0 ] || exec >/dev/null; exec "$@"' - \
    python -m pytest -p no:cacheprovider -m "parallel[3] and ($every)" "${args[@]}" || parallel=$?
  # 5 is pytest's status where the arguments select nothing.
  [ "$serial" = 0 ] || [ "$serial" = 5 ] || return "$serial"
  [ "$parallel" = 0 ] || [ "$parallel" = 5 ] || return "$parallel"
}

case ${1:-} in
  setup) setup ;;
  demo) setup; activate; cd "$root"; exec python demos/spinodal/demo.py "${@:2}" ;;
  test) setup; activate; cd "$root"; run_tests "${@:2}" ;;
  docs) setup; stage docs_tools docs_tools; activate; cd "$root"; PETSC_OPTIONS="-options_left 0" exec python -m sphinx -W --keep-going -n -q -E demos/pages demos/pages/_build ;;
  run) shift; setup; activate; exec "$@" ;;
  shell) setup; activate; exec "${SHELL:-bash}" ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
