"""What may import what, and what the library never does."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "fe_phaseinv"
LEVELS = (
    {"errors"},
    {"bases", "image_files"},
    {"comparison", "coordinates", "images", "parallel", "mesh_data", "rational", "sections", "trust_region"},
    {"newton_cg", "outline", "stepping.bdf", "stepping.boundary_data", "stepping.history"},
    {"relations"},
    {"models.allen_cahn", "models.cahn_hilliard", "models.phase_field_crystal", "priors"},
    {"groups", "linear_algebra", "matern", "spaces"},
    {"meshes", "observation", "parameters", "states"},
    {"separable"},
    {"convolution", "stepping.linear", "stepping.multigrid", "stepping.pieces"},
    {"stepping.matching", "stepping.prescribed"},
    {"stepping.krylov"},
    {"stepping.step"},
    {"smoothing", "stepping.trajectory"},
    {"boundary", "forward", "stepping.adjoint"},
    {"experiment", "tape"},
    {"objective"},
    {"field_unknowns"},
    {"field_point"},
    {"field_objective"},
    {"posterior", "problem", "reduced_objective", "verification"},
    {"determination", "inversion"},
    {"result"},
    {"report"},
    {"case"},
    {"build"},
    {"cli"},
    {"", "models", "stepping"},
)
"""From low to high; a module imports from lower levels alone. The package itself is "", of which they may have the
version."""
PURE = set().union(*LEVELS[:6])
"""Modules that know nothing of meshes, processes and figures."""
LONGEST = 400


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


def test_every_module_has_one_level():
    assert sorted(name for level in LEVELS for name in level) == sorted(SOURCES)


@modules
def test_imports_come_from_lower_levels(module):
    height = {name: number for number, level in enumerate(LEVELS) for name in level}
    used = {name for name in imports(TREES[module]) if name.split(".")[0] == PACKAGE} - {f"{PACKAGE}.__version__"}
    assert not {name for name in used if height[own(name)] >= height[module]}


@modules
def test_outside_packages_are_where_they_belong(module):
    outside = {name.split(".")[0] for name in imports(TREES[module])}
    if module in PURE:
        assert not outside & {"firedrake", "pyadjoint", "petsc4py", "mpi4py", "matplotlib"}
    if module != "report":
        assert "matplotlib" not in outside
    at_import = [node for node in TREES[module].body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert not any(name.startswith("matplotlib") for node in at_import for name in imports(node))


@modules
def test_modules_are_short_and_quiet(module):
    text, nodes = SOURCES[module].read_text(), list(ast.walk(TREES[module]))
    assert len(text.splitlines()) <= LONGEST
    assert module == "cli" or "COMM_WORLD" not in text
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
