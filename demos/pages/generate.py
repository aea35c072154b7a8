"""Pages that follow from the sources: the reference by rooms, the keys of case files, and the gallery of demos."""

import ast
import shutil
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import get_args

import jupytext
import nbformat

import fe_phaseinv
from fe_phaseinv.cli.case import Case
from fe_phaseinv.cli.reading import accepted
from fe_phaseinv.cli.writing import toml
from fe_phaseinv.models.built_in import BUILT_IN

ROOT = Path(__file__).parents[2]
ROOMS = "core laws optimisation models data solvers forward observation inference output cli".split()
DEMOS = "spinodal reaction noise cropped heterogeneity particles crystal correlation own_physics coupled pfhub".split()
"""In the order of the gallery."""


def write_pages(folder):
    """Write all of them into a folder, in place of those of the last time."""
    for name, write in (("api", write_reference), ("gallery", write_gallery)):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir()
        write(folder / name)
    (folder / "keys.md").write_text(keys())


def titled(text, line="="):
    return f"{text}\n{line * len(text)}\n\n"


# The reference


def write_reference(folder):
    """Write a page for each room, and one for the names that a script imports."""
    package = ROOT / "fe_phaseinv"
    for room in ROOMS:
        text = titled(f"{room}/") + ast.get_docstring(ast.parse((package / room / "__init__.py").read_text())) + "\n\n"
        modules = sorted((package / room).glob("[a-z]*.py"))
        (folder / f"{room}.rst").write_text(text + "".join(members(f"{room}.{path.stem}", path) for path in modules))
    text = titled("Reference") + "A script imports these from ``fe_phaseinv``; every room has a page of its own.\n\n"
    text += (
        "".join(face())
        + "\n"
        + titled("Rooms", "-")
        + ".. toctree::\n   :maxdepth: 1\n\n"
        + "".join(f"   {room}\n" for room in ROOMS)
        + "\n"
    )
    modules = sorted(package.glob("[a-z]*.py"))
    (folder / "index.rst").write_text(text + "".join(members(path.stem, path) for path in modules))


def members(module, path):
    """Give the part of a page on a module."""
    names = ", ".join(documented(ast.parse(path.read_text()).body))
    return titled(path.stem, "-") + f".. automodule:: fe_phaseinv.{module}\n   :members: {names}\n\n"


def documented(body):
    """Give the public names of a module: its functions and classes, and the constants that a text follows."""
    for node, following in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        elif isinstance(node, ast.Assign) and isinstance(getattr(following, "value", None), ast.Constant):
            if isinstance(node.value, ast.Subscript):
                continue  # the name of a type
            yield from (name.id for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name))


def face():
    """Give a line for each function and class of the package's face: what it is, and where it is described."""
    for name in sorted(fe_phaseinv.__all__, key=str.lower):
        value = getattr(fe_phaseinv, name)
        if getattr(value, "__module__", "").startswith("fe_phaseinv.") and callable(value):
            role = "class" if isinstance(value, type) else "func"
            first = " ".join((value.__doc__ or "").partition("\n\n")[0].split())
            yield f"* :py:{role}:`~{value.__module__}.{value.__qualname__}`: {first}\n"


# Case files


def keys():
    """Describe every key of a case file as the dataclasses of its sections declare it."""
    text = "# Keys of a case file\n\n" + table(Case)
    for spec in fields(Case):
        if "by_model" in spec.metadata:
            kinds = {model: spec.metadata["by_model"](model) for model in BUILT_IN}
            text += "".join(of_model(spec.name, model, kind) for model, kind in kinds.items() if kind is not None)
        else:
            text += "".join(section(spec.name, kind, "##") for kind in sections(spec.type))
    return text


def of_model(key, model, kind):
    """Describe a section that a model decides on."""
    text = f'## {key.capitalize()}, where `model = "{model}"`\n\n'
    if key != "laws":
        return text + f"`[{key}]`\n\n{table(kind)}"
    laws = {f"`[laws.{law.name}]`": law for law in fields(kind)}
    return text + "".join(f"### {name}\n\n{law.metadata['says']}.\n\n{table(law.type)}" for name, law in laws.items())


def sections(kind):
    """Give the section that a key holds, if it holds one."""
    return [part for part in (kind, *get_args(kind)) if is_dataclass(part)]


def section(key, kind, level):
    text = f"{level} `[{key}]`\n\n{kind.__doc__}\n\n{table(kind)}"
    if level == "##":
        inside = {f"{key}.{spec.name}": part for spec in fields(kind) for part in sections(spec.type)}
        others = [part for spec in fields(Case) for part in sections(spec.type)]
        text += "".join(section(name, part, "###") for name, part in inside.items() if part not in others)
    return text


def table(kind):
    """Give the table of the keys of a section: what each is for and accepts, and what holds where it is not given."""
    text = "| key | what it is for | accepted | default |\n| --- | --- | --- | --- |\n"
    for spec in fields(kind):
        nested = "by_model" in spec.metadata or sections(spec.type)
        takes = "a section" if nested else accepted(spec.type, spec.metadata)
        text += f"| `{spec.name}` | {spec.metadata['says']} | {takes} | {default(spec.default)} |\n"
    return text + "\n"


def default(value):
    if value is MISSING:
        return "required"
    return "" if value is None or value == () or is_dataclass(value) else f"`{toml(value)}`"


# The gallery


def write_gallery(folder):
    """Write a page and a notebook for each demo. None is run: the figures are those stored beside it."""
    entries = "".join(entry(folder, name) for name in DEMOS)
    names = "\n".join(f"{name.replace('_', ' ').capitalize()} <{name}>" for name in DEMOS)
    index = f"# Gallery\n\n:::::{{container}} gallery\n{entries}:::::\n\n:::{{toctree}}\n:hidden:\n\n{names}\n:::\n"
    (folder / "index.md").write_text(index)


def entry(folder, name):
    """Write the page and the notebook of a demo, and give its entry in the gallery."""
    notebook = notebook_of(name)
    jupytext.write(notebook, folder / f"{name}.ipynb")
    figures = [shutil.copy(path, folder / f"{name}-{path.name}").name for path in (ROOT / "demos" / name).glob("*.png")]
    introduction, *cells = notebook.cells
    text = introduction.source + "\n\n" + "".join(f"![]({figure})\n\n" for figure in sorted(figures))
    text += f"Download: [notebook](<path:{name}.ipynb>), to be run in the root of the clone; "
    text += f"[script](<path:../../{name}/demo.py>)\n\n"
    for cell in cells:
        text += cell.source + "\n\n" if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```\n\n"
    (folder / f"{name}.md").write_text(text)
    title = introduction.source.partition("\n")[0].removeprefix("# ")
    return f"::::{{container}} entry\n[![{name}]({min(figures)})]({name}.md)\n\n[{title}]({name}.md)\n::::\n"


def notebook_of(name):
    """Give a demo as a notebook, in which its docstring is a text; a notebook knows no __file__."""
    source = (ROOT / "demos" / name / "demo.py").read_text().replace("Path(__file__).parent", f'Path("demos/{name}")')
    notebook = together(jupytext.reads(source, fmt="py:light"))
    title, _, text = ast.get_docstring(ast.parse(source)).partition("\n\n")
    notebook.cells[0] = nbformat.v4.new_markdown_cell(f"# {title.rstrip('.')}\n\n{text}")
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return notebook


def together(notebook):
    """Join code that no text divides."""
    cells = notebook.cells[:1]
    for cell in notebook.cells[1:]:
        if len(cells) > 1 and cell.cell_type == cells[-1].cell_type == "code":
            cells[-1].source += f"\n\n{cell.source}"
        else:
            cells.append(cell)
    notebook.cells = cells
    return notebook
