"""Docstrings: what every public function takes, what it raises, and where it communicates."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fe_phaseinv"
TREES = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
CLASSES = {node.name: node for tree in TREES.values() for node in tree.body if isinstance(node, ast.ClassDef)}
ROOMS = sorted({path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in TREES})
COLLECTIVE = {
    "allreduce",
    "Allreduce",
    "bcast",
    "allgather",
    "Barrier",
    "total",
    "extremes",
    "on_root",
    "any_rank",
    "gather",
}
"""Calls that communicate by themselves."""


def functions(room):
    """Give the public functions and methods of a room by their dotted names, and the class of a method."""
    for path, tree in TREES.items():
        if path.relative_to(PACKAGE).parts[0].removesuffix(".py") != room:
            continue
        for node in tree.body:
            if isinstance(node, ast.FunctionDef):
                yield f"{path.stem}.{node.name}", node, None
            elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                members = (member for member in node.body if isinstance(member, ast.FunctionDef))
                yield from ((f"{path.stem}.{node.name}.{member.name}", member, node) for member in members)


def public(room):
    return [item for item in functions(room) if not item[1].name.startswith("_")]


def inherits(node, owner):
    """Whether a method has the docstring of the method of a base class that it stands for."""
    bases = [CLASSES.get(getattr(base, "id", None)) for base in owner.bases] if owner else []
    return any(
        base and (inherits(node, base) or any(getattr(member, "name", None) == node.name for member in base.body))
        for base in bases
    )


def arguments(node):
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
    return [argument.arg for argument in every if argument and argument.arg not in ("self", "cls")]


def documented(doc):
    """Give the names in the Parameters section of a docstring."""
    section = re.search(r"Parameters\n\s*-{5,}\n(.*?)(?:\n\s*\n\s*\w[\w ]*\n\s*-{5,}|\Z)", doc, re.S)
    entries = re.findall(r"^\s*([\w*, ]+?)(?: :|$)", section[1], re.M) if section else []
    return {name.strip().lstrip("*") for entry in entries for name in entry.split(",")}


def raises(node):
    """Whether a function raises an exception of its own, apart from one that is not implemented."""
    found = [inner.exc for inner in ast.walk(node) if isinstance(inner, ast.Raise) and inner.exc]
    return any("NotImplementedError" not in ast.unparse(exception) for exception in found)


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_say_what_they_take(room):
    missing = {
        name: sorted(set(arguments(node)) - documented(ast.get_docstring(node) or ""))
        for name, node, owner in public(room)
        if not inherits(node, owner)
    }
    assert not {name: names for name, names in missing.items() if names}


@pytest.mark.parametrize("room", ROOMS)
def test_public_functions_say_what_they_raise(room):
    assert not [
        name
        for name, node, owner in public(room)
        if raises(node)
        and not inherits(node, owner)
        and not re.search(r"Raises\n\s*-{5,}", ast.get_docstring(node) or "")
    ]


@pytest.mark.parametrize("room", ROOMS)
def test_classes_say_what_they_are_made_of(room):
    """The docstring of a class documents the arguments of its constructor, and what that raises."""
    for name, node, owner in functions(room):
        if node.name != "__init__" or issubclass_of_error(owner):
            continue
        doc = ast.get_docstring(owner)
        assert set(arguments(node)) <= documented(doc), name
        assert not raises(node) or re.search(r"Raises\n\s*-{5,}", doc), name


def issubclass_of_error(owner):
    return any("Error" in ast.unparse(base) for base in owner.bases)


@pytest.mark.parametrize("room", ROOMS)
def test_what_communicates_says_so(room):
    """Public functions and properties whose own body communicates say so."""
    silent = []
    for name, node, _ in public(room):
        called = {inner.func for inner in ast.walk(node) if isinstance(inner, ast.Call)}
        called = {getattr(call, "attr", getattr(call, "id", None)) for call in called}
        if called & COLLECTIVE and "ollective" not in (ast.get_docstring(node) or ""):
            silent.append(name)
    assert not silent
