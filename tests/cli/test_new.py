"""A new case, and the schema by which editors check cases: both are made from the sections, and agree with them."""

import json
import re
import tomllib
from dataclasses import MISSING, fields

import pytest

from fe_phaseinv.cli.case import Case, read_case
from fe_phaseinv.cli.command import main
from fe_phaseinv.cli.schema import Domain, Field, Images
from fe_phaseinv.cli.sections import laws_section, options_section
from fe_phaseinv.cli.template import json_schema, template
from fe_phaseinv.core.errors import InputError
from fe_phaseinv.models.built_in import BUILT_IN

models = pytest.mark.parametrize("model", BUILT_IN)
KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def valid(value, schema) -> bool:
    """Whether a value follows a schema, as far as `json_schema` uses its language."""
    if "anyOf" in schema and not any(valid(value, option) for option in schema["anyOf"]):
        return False
    for rule in schema.get("allOf", ()):
        if valid(value, rule["if"]) and not valid(value, rule["then"]):
            return False
    kind = schema.get("type")
    if kind and (not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean")):
        return False
    known = schema.get("properties", {})
    if isinstance(value, dict):
        if not schema.get("additionalProperties", True) and not value.keys() <= known.keys():
            return False
        return set(schema.get("required", ())) <= value.keys() and all(
            valid(item, known[key]) for key, item in value.items() if key in known
        )
    if isinstance(value, list):
        return len(value) >= schema.get("minItems", 0) and all(valid(item, schema.get("items", {})) for item in value)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return False
    if "const" in schema or "enum" in schema:
        return value in schema.get("enum", [schema.get("const")])
    bounds = {"minimum": lambda a, b: a >= b, "exclusiveMinimum": lambda a, b: a > b}
    bounds["exclusiveMaximum"] = lambda a, b: a < b
    return all(holds(value, schema[key]) for key, holds in bounds.items() if key in schema)


@models
def test_a_new_case_can_be_run_once_its_images_are_there(tmp_path, model, capsys):
    case = tmp_path / "new" / "case.toml"
    assert main(["new", str(case.parent), "--model", model]) == 0
    assert str(case) in capsys.readouterr().out
    with pytest.raises(InputError, match="images.file: found"):
        read_case(case)
    (case.parent / "images.npz").touch()
    found = read_case(case)
    assert found.model == model
    sections = (spec for spec in fields(Case) if spec.default is not MISSING and spec.name != "model")
    assert all(getattr(found, spec.name) == spec.default for spec in sections)
    assert case.read_text().startswith("#:schema ./case.schema.json\n")
    assert json.loads((case.parent / "case.schema.json").read_text()) == json.loads(json.dumps(json_schema()))


@models
def test_every_key_is_in_a_new_case(model):
    text = template(model)
    keys = {spec.name for spec in fields(Case)} - {"options", "drive", "data"}
    laws, options = laws_section(BUILT_IN[model]), options_section(BUILT_IN[model])
    for kind in (Images, Domain, Field, laws, *([options] if options else [])):
        keys |= {spec.name for spec in fields(kind)}
    assert all(re.search(rf"\b{key}( =|\]|\.)", text) for key in keys)
    assert all(f"[laws.{spec.name}]" in text for spec in fields(laws))
    assert ("[drive]" in text, "[options]" in text) == (model == "driven-reaction", options is not None)
    assert max(map(len, text.splitlines())) <= 120


def test_a_case_is_not_overwritten(tmp_path, capsys):
    case = tmp_path / "case.toml"
    case.write_text("mine")
    assert main(["new", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"{case}: file: found a case; accepted: a folder without one\n"
    assert case.read_text() == "mine" and not (tmp_path / "case.schema.json").exists()


@models
def test_the_schema_knows_a_new_case(model):
    assert valid(tomllib.loads(template(model)), json_schema())


@pytest.mark.parametrize(
    ("change", "accepted"),
    [
        ({"images": [{"file": "a.npz", "domain": {"cells": 4}}, {"file": "b.npz"}]}, True),
        ({"images": {"file": "a.npz", "noise": "estimate", "frames": [0, 2]}}, True),
        ({"domain": {"mesh": "any.msh", "tags": [1, "holes"]}, "time": {"rtol": 1e-3}}, True),
        ({"images": []}, False),
        ({"images": {}}, False),
        ({"images": {"file": "a.npz", "frames": [-1]}}, False),
        ({"domain": {"boundary": "from_images"}}, False),
        ({"time": {"rtol": 1}}, False),
        ({"optimizer": {"max_iterations": 0}}, False),
        ({"laws": {"chemical_potential": {}}}, False),
        ({"laws": {"chemical_potential": {}, "kinetic_prefactor": {}}}, False),
        ({"model": "allen-cahn", "laws": {"chemical_potential": {}, "kinetic_prefactor": {}}}, True),
        ({"remark": "mine"}, False),
        ({"laws": {"chemical_potential": {"fixed": 1}, "diffusivity": {}}}, False),
        ({"laws": {"chemical_potential": {"interval": [-1, 1]}, "diffusivity": {"weighted": False}}}, True),
        ({"options": {"weighted": False}}, True),
        ({"options": {"stiffness": [1, 2, 3]}}, False),
        ({"model": "strain-coupled", "elasticity": {"stiffness": [1, 2, 3]}}, True),
        ({"model": "strain-coupled", "elasticity": {"stiffness": "hard"}}, False),
        ({"model": "own.py:Own", "laws": {"anything": {}}}, True),
    ],
)
def test_the_schema_refuses_what_a_case_refuses(change, accepted):
    smallest = {
        "model": "cahn-hilliard",
        "images": {"file": "images.npz"},
        "laws": {"chemical_potential": {}, "diffusivity": {}},
    }
    assert valid(smallest, json_schema())
    assert valid(smallest | change, json_schema()) == accepted
