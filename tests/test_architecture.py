"""What may import what, and what the library never does."""

import ast
import os
import re
import statistics
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "fe_phaseinv"
GROUND = ("core", "laws", "optimisation")
"""Rooms that stand on the ground: of the package they import nothing but what is in them."""
ABOVE = {"models": {"laws"}, "data": {"core"}}
"""Rooms that stand on these alone."""
STOREYS = ("solvers", "forward", "observation", "inference", "output", "", "cli")
"""From low to high; each of them stands on the ones before it and on the rooms above. The package's face is ""."""
OUTSIDE = {
    "laws": {"numpy", "scipy", "ufl"},
    "optimisation": {"numpy", "scipy"},
    "models": {"numpy", "ufl"},
}
"""All packages that a room may know besides the standard library, where these are few."""
LONGEST, MEDIAN = 350, 180
LATE = {"matplotlib", "gmsh", "meshio", "tifffile", "imagecodecs", "xarray", "zarr", "arviz_base", "arviz_stats"}
"""Packages that are imported where they are used."""
DISTRIBUTIONS = {"pyadjoint": "pyadjoint-ad", "ufl": "fenics-ufl", "skimage": "scikit-image"}
INDIRECT = {"petsc4py", "vtk"}
"""What other packages need for what is asked of them here."""


def name_of(path):
    parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


SOURCES = {name_of(path): path for path in sorted((ROOT / PACKAGE).rglob("*.py"))}
TREES = {name: ast.parse(path.read_text()) for name, path in SOURCES.items()}
modules = pytest.mark.parametrize("module", SOURCES)


def imports(tree):
    """Give the dotted names that a piece of code imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name):
    """Give the module of the package that holds a dotted name."""
    local = name.removeprefix(PACKAGE).removeprefix(".")
    while local not in SOURCES:
        local = local.rpartition(".")[0]
    return local


def room_of(module):
    """Name the room of a module; those right in the package are its face."""
    return module.split(".")[0] if "." in module or (ROOT / PACKAGE / module).is_dir() else ""


def below(room):
    """Give the rooms that a room may import from, besides itself."""
    if room in GROUND:
        return set()
    return ABOVE.get(room) or {*GROUND, *ABOVE, *STOREYS[: STOREYS.index(room)]}


def dependencies(module):
    """Give the other modules of the package that a module imports."""
    used = {own(name) for name in imports(TREES[module]) if name.split(".")[0] == PACKAGE}
    return used - {module}


def test_every_folder_is_a_room():
    assert {room_of(name) for name in SOURCES} == {*GROUND, *ABOVE, *STOREYS}
    assert {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "_."} - {
        "benchmarks"
    } == {*GROUND, *ABOVE, *STOREYS} - {""}


def test_every_room_is_introduced():
    assert not [name for name in SOURCES if SOURCES[name].name == "__init__.py" and not ast.get_docstring(TREES[name])]


@modules
def test_imports_come_from_lower_rooms(module):
    room = room_of(module)
    assert {room_of(name) for name in dependencies(module)} <= below(room) | {room}


@pytest.mark.parametrize("room", [*GROUND, *ABOVE, *STOREYS])
def test_no_circle_inside_a_room(room):
    inside = {name: {d for d in dependencies(name) if room_of(d) == room} for name in SOURCES if room_of(name) == room}
    TopologicalSorter(inside).prepare()


@modules
def test_outside_packages_are_where_they_belong(module):
    names = {name.split(".")[0] for name in imports(TREES[module])}
    if room_of(module) in OUTSIDE:
        assert names - {PACKAGE} - sys.stdlib_module_names <= OUTSIDE[room_of(module)]
    if module != "output.figures" and not (module.startswith("output.") and module.endswith("_figure")):
        assert "matplotlib" not in names
    at_import = [node for node in TREES[module].body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert not any(name.split(".")[0] in LATE for node in at_import for name in imports(node))


def test_declared_dependencies_are_those_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.match(r"[\w-]+", text)[0] for text in project["dependencies"]}
    used = {name.split(".")[0] for tree in TREES.values() for name in imports(tree)} - sys.stdlib_module_names
    packages = {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in used - {PACKAGE}}
    optional = {name for extra in ("xarray", "sampling") for name in project["optional-dependencies"][extra]}
    assert (packages - optional) | INDIRECT == declared


def test_modules_are_mostly_short():
    lengths = [len(path.read_text().splitlines()) for path in SOURCES.values() if path.name != "__init__.py"]
    assert statistics.median(lengths) <= MEDIAN


@modules
def test_modules_are_short_and_quiet(module):
    text, nodes = SOURCES[module].read_text(), list(ast.walk(TREES[module]))
    assert len(text.splitlines()) <= LONGEST
    assert room_of(module) == "cli" or "COMM_WORLD" not in text
    assert not any(alias.name == "*" for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names)
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "print" not in called


IMPORT = """
import logging, warnings
from firedrake.petsc import PETSc
import firedrake, pyadjoint, signal
def state():
    return PETSc.Options().getAll(), list(logging.getLogger().handlers), signal.getsignal(signal.SIGTERM)
before = state()
warnings.simplefilter("error")
import fe_phaseinv, fe_phaseinv.cli
assert state() == before
assert not pyadjoint.annotate_tape()
"""


NAMES = """
import checkpoint_schedules, firedrake, pyadjoint
import fe_phaseinv
for package in (firedrake, checkpoint_schedules, pyadjoint):
    names = set(getattr(package, "__all__", dir(package))) | set(dir(package))
    assert not {name for name in names & set(fe_phaseinv.__all__) if name[0] != "_"}, package
"""


def test_nothing_shadows_names_of_others():
    run = subprocess.run([sys.executable, "-c", NAMES], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


def test_import_does_nothing_else(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", IMPORT]
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert not run.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff(command):
    command = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
