"""What docker/env.sh sets before it runs a command; an environment is imitated by its folders."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "docker" / "env.sh"


def has_packages() -> bool:
    """Whether the script would find all packages of the system, so that it installs none."""
    if not shutil.which("dpkg-query"):
        return False
    names = (SCRIPT.parent / "apt-packages.txt").read_text().split()
    run = subprocess.run(["dpkg-query", "-W", "-f", "${Status}\n", *names], capture_output=True, text=True)
    return run.stdout.splitlines() == ["install ok installed"] * len(names)


pytestmark = pytest.mark.skipif(not has_packages(), reason="docker/env.sh would install packages")


@pytest.fixture
def environment(tmp_path):
    """Return the folder of an environment that passes for a finished one."""
    define = re.search(r"^pins_hash.*$", SCRIPT.read_text(), re.M)[0]
    command = ["bash", "-c", f"here={SCRIPT.parent}; {define}; pins_hash"]
    name = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    stages = tmp_path / f"env-{name}" / ".stages"
    stages.mkdir(parents=True)
    for stage in re.findall(r"^ +stage (\w+)", SCRIPT.read_text(), re.M):
        (stages / stage).touch()
    return tmp_path / f"env-{name}"


def variables(environment: Path, **more: str) -> dict[str, str]:
    """Return the variables of a command that the script runs."""
    before = {"PATH": "/usr/bin:/bin", "FE_PHASEINV_CACHE": str(environment.parent), "TMPDIR": str(environment.parent)}
    run = subprocess.run(
        [SCRIPT, "run", "env"], env=before | more, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stderr == ""
    return dict(line.split("=", 1) for line in run.stdout.splitlines())


def test_compiled_forms_lie_where_they_can_be_written(environment, tmp_path):
    """In the environment, then in the user's cache, then in a private folder; files stand for read-only folders."""
    home, private = tmp_path / "home", tmp_path / f"fe_phaseinv-{os.getuid()}"
    inside = variables(environment, HOME=str(home))
    assert Path(inside["PYOP2_CACHE_DIR"]) == environment / ".cache" / "pyop2"
    assert "XDG_CACHE_HOME" not in inside
    shutil.rmtree(environment / ".cache")
    (environment / ".cache").touch()
    outside = variables(environment, HOME=str(home))
    folder = home / ".cache" / "fe_phaseinv" / environment.name.replace("env", "forms")
    assert Path(outside["PYOP2_CACHE_DIR"]) == folder / "pyop2"
    assert Path(outside["FIREDRAKE_TSFC_KERNEL_CACHE_DIR"]) == folder / "tsfc"
    for more in ({}, {"HOME": "/dev/null"}, {"HOME": str(home), "XDG_CACHE_HOME": "/dev/null"}):
        alone = variables(environment, **more)
        assert Path(alone["PYOP2_CACHE_DIR"]).is_relative_to(private)
        assert Path(alone["XDG_CACHE_HOME"]) == private and private.stat().st_mode & 0o777 == 0o700
        assert alone["HOME"] == more.get("HOME", str(private))


def test_a_private_folder_is_no_link_of_someone_else(environment, tmp_path):
    (environment / ".cache").touch()
    (tmp_path / "theirs").mkdir()
    private = tmp_path / f"fe_phaseinv-{os.getuid()}"
    private.symlink_to(tmp_path / "theirs")
    assert not Path(variables(environment)["XDG_CACHE_HOME"]).is_relative_to(private)


def test_ranks_are_not_started_by_slurm_without_srun(environment, tmp_path):
    assert "OMPI_MCA_plm" not in variables(environment, HOME=str(tmp_path))
    job = {"HOME": str(tmp_path), "SLURM_JOB_ID": "1"}
    found = variables(environment, **job)
    assert (found["OMPI_MCA_plm"], found["OMPI_MCA_ras"]) == ("^slurm", "^slurm")
    assert variables(environment, **job, OMPI_MCA_plm="rsh")["OMPI_MCA_plm"] == "rsh"
    (tmp_path / "srun").touch(mode=0o755)
    assert "OMPI_MCA_plm" not in variables(environment, **job | {"PATH": f"{tmp_path}:/usr/bin:/bin"})


def test_packages_are_installed_quietly(environment, tmp_path):
    """One line says how many and where the log is; a failure shows its end."""
    programs = {
        "dpkg-query": "#!/bin/sh\n",
        "id": "#!/bin/sh\necho 0\n",
        "apt-get": '#!/bin/sh\nfor i in $(seq 300); do echo "line $i"; done\n[ "$1" = update ]\n',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    before = {"PATH": f"{tmp_path}:/usr/bin:/bin", "FE_PHASEINV_CACHE": str(tmp_path), "HOME": str(tmp_path)}
    run = subprocess.run([SCRIPT, "run", "true"], env=before, capture_output=True, text=True)
    first, *shown, last = run.stderr.splitlines()
    assert re.fullmatch(rf"env.sh: installing \d+ system packages \(log: {tmp_path}/apt.log\)", first)
    assert (run.returncode, run.stdout, len(shown), shown[-1]) == (1, "", 30, "line 300")
    assert last == "env.sh: installing system packages failed"
    (tmp_path / "apt-get").write_text("#!/bin/sh\nseq 300\n")
    run = subprocess.run([SCRIPT, "run", "true"], env=before, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr.splitlines()) == (0, "", [first])
