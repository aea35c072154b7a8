"""Files of true laws: formulas that are read, not run, and what is refused."""

import json

import numpy as np
import pytest

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.laws.bases import ConstantBasis, Legendre
from fe_phaseinv.laws.relations import Relation, positive
from fe_phaseinv.output.truth import evaluate_formula, read_truth

Z = np.array([0.2, 0.5])
RELATIONS = (Relation("chemical_potential", Legendre(2)), Relation("gradient_energy", ConstantBasis(), positive))


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("log(c/(1-c)) + exp(c)", np.log(Z / (1 - Z)) + np.exp(Z)),
        ("-2.5e-1*c**2 + +sqrt(c) - c**-0.5", -0.25 * Z**2 + np.sqrt(Z) - Z**-0.5),
        (0.5, [0.5, 0.5]),
        (3, [3.0, 3.0]),
    ],
)
def test_formulas(formula, value):
    np.testing.assert_allclose(evaluate_formula(formula, "c", Z), value, rtol=1e-14)


def test_formulas_of_complex_numbers():
    step = 1e-30
    found = evaluate_formula("c*(1 - c)**3 + log(c)", "c", Z + 1j * step)
    np.testing.assert_allclose(found.imag / step, (1 - Z) ** 3 - 3 * Z * (1 - Z) ** 2 + 1 / Z, rtol=1e-13)


@pytest.mark.parametrize(
    "formula",
    [
        *("open(c)", "c.size", "().__class__", "[x for x in (1,)]", "c[0]", "'text'", "True", "lambda: c", "log"),
        *("__import__('os').system('true')", "log(c, c)", "log(x=c)", "log(*c)", "c if c else c", "f'{c}'", "1j", "k"),
        *("", "c +", "c\n+ 1", "c**1e9", "9**9**9**9", "c**c", "(" * 400 + "c" + ")" * 400, "c" * 2000),
        *(None, [1], {"c": 1}, True, "1" * 900 + "\x00"),
    ],
)
def test_what_is_no_formula_is_refused_in_one_line(formula):
    with pytest.raises(ValueError) as caught:
        evaluate_formula(formula, "c", Z)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 1000


def test_huge_numbers_are_no_programs():
    assert np.isinf(evaluate_formula("9.0**99 ** 1 * 1e300", "c", Z)).all()


def test_a_truth_is_read(tmp_path):
    path, truth = tmp_path / "truth.json", {"mu": "c", "kappa": 1e-3, "remark": "ours"}
    path.write_text(json.dumps(truth))
    assert read_truth(path, RELATIONS) == truth


@pytest.mark.parametrize(
    ("truth", "found"),
    [
        ([], "file: found []; accepted: a JSON object"),
        (
            {"mu": "open(c)"},
            'mu: found "open(c)" (open(c) is not known); accepted: a number or a formula in c with log',
        ),
        ({"mu": None}, "mu: found null"),
        ({"kappa": "7.5e-4"}, 'kappa: found "7.5e-4"; accepted: a number > 0'),
        ({"kappa": 0}, "kappa: found 0; accepted: a number > 0"),
        ({"kappa": True}, "kappa: found true"),
    ],
)
def test_truths_are_refused(tmp_path, truth, found):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(truth))
    with pytest.raises(InputError) as caught:
        read_truth(path, RELATIONS)
    assert str(caught.value).startswith(f"{path}: {found}")
