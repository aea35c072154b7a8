"""The true laws, where they are known: a file with a formula or number for each, and their gauge."""

from __future__ import annotations

import ast
import json
import math
import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fe_phaseinv.core.errors import InputError, refusing_unreadable
from fe_phaseinv.laws.bases import COMPLEX_STEP, ConstantBasis
from fe_phaseinv.laws.relations import Law, Relation, positive
from fe_phaseinv.output.result import Result

TRUTH_KEYS = {
    "chemical_potential": "mu",
    "gradient_energy": "kappa",
    "direct_correlation": "C2hat",
    "diffusivity": "D",
    "kinetic_prefactor": "R0",
    "exchange_current": "j0",
}
"""Short keys of a file of true laws, by law."""
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
FUNCTIONS = {"log": np.log, "exp": np.exp, "sqrt": np.sqrt, "sin": np.sin, "cos": np.cos, "tanh": np.tanh}
LONGEST_FORMULA, HIGHEST_POWER = 1000, 100.0


def read_truth(path: str | os.PathLike, relations: Sequence[Relation]) -> dict[str, Any]:
    """Read a file of true laws, and try what it says.

    Parameters
    ----------
    path : str or os.PathLike
        A JSON object: under the name of each law, or the key that `TRUTH_KEYS` gives, a number for a law that is one,
        and otherwise a formula as `evaluate_formula` knows them. Other keys are left alone.
    relations : sequence of Relation
        The laws.

    Raises
    ------
    InputError
        Where the file is no JSON object, or a law in it is none.
    """
    accepted = "a JSON object"
    with refusing_unreadable(path, accepted):
        truth = json.loads(Path(path).read_text(encoding="utf-8"))
    if not isinstance(truth, dict):
        raise InputError(path, "file", truth, accepted)
    for relation in relations:
        if (key := _key(truth, relation.name)) in truth and relation.basis.arguments == 1:
            _require_law(path, key, truth[key], relation)
    return truth


def _key(truth: dict[str, Any], name: str) -> str:
    """Return the key under which a truth has a law, or would have it."""
    return name if name in truth else TRUTH_KEYS.get(name, name)


def _require_law(path: str | os.PathLike, key: str, value: Any, relation: Relation) -> None:
    if isinstance(relation.basis, ConstantBasis):
        above = 0.0 if relation.transform is positive else -math.inf
        if type(value) not in (int, float) or not above < value < math.inf:
            raise InputError(path, key, json.dumps(value), "a number" + (" > 0" if above == 0 else ""))
        return
    try:
        evaluate_formula(value, relation.argument, np.array([0.5]))
    except ValueError as error:
        accepted = f"a number or a formula in {relation.argument} with {', '.join(FUNCTIONS)}"
        raise InputError(path, key, f"{json.dumps(value)} ({error})", accepted) from None


def evaluate_formula(formula: str | float, argument: str, z: np.ndarray) -> np.ndarray:
    """Return the values of a formula, without running it as a program.

    Parameters
    ----------
    formula : str or float
        Of numbers, the argument, + - * / ** and the functions of one variable in `FUNCTIONS`; powers have exponents
        between -100 and 100.
    argument : str
        Name of its variable.
    z : numpy.ndarray, shape (n,)
        Values of the variable, real or complex.

    Returns
    -------
    numpy.ndarray, shape (n,)

    Raises
    ------
    ValueError
        Where the formula is none, in one line.
    """
    text = str(formula).strip()
    if len(text) > LONGEST_FORMULA:
        raise ValueError(f"longer than {LONGEST_FORMULA} characters")
    try:
        with np.errstate(all="ignore"):
            return _value(ast.parse(text, mode="eval").body, {argument: z}) + 0 * z
    except (SyntaxError, MemoryError, RecursionError) as error:
        raise ValueError(f"no formula: {type(error).__name__}") from error


def _value(node: ast.expr, variables: dict[str, np.ndarray]) -> Any:
    """Return the value of a node of a formula; what is not listed here is refused."""
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return np.float64(number)
        case ast.Name(id=name) if name in variables:
            return variables[name]
        case ast.UnaryOp(op=op, operand=operand) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(operand, variables))
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            exponent = _value(right, {})
            if not abs(exponent) <= HIGHEST_POWER:
                raise ValueError(f"the power {exponent:g} is beyond {HIGHEST_POWER:g}")
            return _value(left, variables) ** exponent
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return OPERATORS[type(op)](_value(left, variables), _value(right, variables))
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in FUNCTIONS:
            return FUNCTIONS[name](_value(inner, variables))
    raise ValueError(f"{ast.unparse(node)} is not known")


def true_law(result: Result, law: Law, z: np.ndarray, slope: bool = False) -> np.ndarray | None:
    """Return the true law, or its slope, in the gauge of the learnt ones.

    Parameters
    ----------
    result : Result
    law : Law
        The learnt one.
    z : numpy.ndarray, shape (n,)
        Values of its argument.
    slope : bool
        Whether the slope is asked for.

    Returns
    -------
    numpy.ndarray or None, shape (n,)
        None where the truth is not known.
    """
    name, value = law.relation.name, _formula(result, law, z, slope)
    if value is None:
        return None
    value = value * _gauge(result) ** result.model.power(name)
    if name not in (result.model.exchange or ()):
        return value
    return value + _exchanged(result) * (1.0 if slope or name == result.model.exchange[1] else z)


def true_number(result: Result, name: str) -> float | None:
    """Return the true law that is a number, in the gauge of the learnt ones unless it tells the gauge.

    Parameters
    ----------
    result : Result
    name : str
        Of the law.

    Returns
    -------
    float or None
        None where the truth is not known.
    """
    true = _number(result, name)
    return true if true is None or name == result.model.scale else true * _gauge(result) ** result.model.power(name)


def _number(result: Result, name: str) -> float | None:
    """Return the true law that is a number, as the truth file has it."""
    return (result.truth or {}).get(_key(result.truth or {}, name))


def _formula(result: Result, law: Law, z: np.ndarray, slope: bool = False) -> np.ndarray | None:
    """Return the true law, or its slope, as the truth file has it."""
    formula = (result.truth or {}).get(_key(result.truth or {}, law.relation.name))
    if formula is None:
        return None
    value = evaluate_formula(formula, law.relation.argument, z + 1j * COMPLEX_STEP)
    return np.imag(value) / COMPLEX_STEP if slope else np.real(value)


def _gauge(result: Result) -> float:
    """Return s of the scaling that changes no image, such as (s mu, s kappa, D/s), from the true to the learnt laws."""
    scale = result.model.scale
    true = scale and _number(result, scale)
    return float(result.laws[scale](0.0)) / true if true else 1.0


def _exchanged(result: Result) -> float:
    """Return a of (mu_h', C2) -> (mu_h' + a, C2 + a), which changes no image, from the true to the learnt laws."""
    law = result.laws[result.model.exchange[0]]
    true = _formula(result, law, np.zeros(1), slope=True)
    return 0.0 if true is None else float((law.slope(np.zeros(1)) - true)[0])
