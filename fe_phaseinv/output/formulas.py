"""Symbols as matplotlib writes formulas."""

import re

GREEK = """
alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi omega
""".split()


def tex(symbol: str) -> str:
    r"""Return a symbol as a formula: ``mu_h`` as ``\mu_{h}``, ``R0`` as ``R_{0}``; words as they are.

    Parameters
    ----------
    symbol : str
    """
    base, index = re.fullmatch(r"([^\W\d_]*)(.*)", symbol).groups()
    if base not in GREEK and len(base) != 1:
        return r"\mathrm{" + symbol.replace("_", r"\ ") + "}"
    letter = rf"\{base}" if base in GREEK else base
    index = index.strip("_").replace("_", ",")
    return f"{letter}_{{{index}}}" if index else letter
