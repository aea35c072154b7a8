"""Case files: what a run is, as validated values."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from fe_phaseinv.cli.laws import started
from fe_phaseinv.cli.reading import Reader, item_names, override
from fe_phaseinv.cli.schema import (
    KERNEL_SIZES,
    LAWS,
    AllenCahnLaws,
    CahnHilliardLaws,
    ChemicalPotential,
    CrystalLaws,
    Curve,
    Domain,
    Field,
    Images,
    Optimizer,
    Prior,
    Time,
    Uncertainty,
    declared,
)
from fe_phaseinv.cli.writing import lines, toml
from fe_phaseinv.core.errors import InputError, read_toml, refusing_unreadable
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.output.reading import read_result


@dataclass(frozen=True, kw_only=True)
class Case:
    """A validated case; the attributes are the keys and sections of its file, of `images` one or several."""

    model: str = declared("The equation", choices=tuple(LAWS), example=next(iter(LAWS)))
    truth: Path | None = declared("A JSON file of true laws, to be drawn beside those learnt", None)
    start: Path | None = declared(
        "The result (its folder or result.json) of another case of the same model, on any mesh, with whose laws this "
        "one begins, but for those that it fixes",
        None,
    )
    images: tuple[Images, ...] = declared("The images")
    domain: Domain = declared("The domain", Domain())
    laws: CahnHilliardLaws | AllenCahnLaws | CrystalLaws = declared("The laws", by_model=LAWS)
    time: Time = declared("The time steps", Time())
    prior: Prior = declared("The prior of the laws", Prior())
    heterogeneity: Field | None = declared("A map of the kinetics", None)
    optimizer: Optimizer = declared("The optimiser", Optimizer())
    uncertainty: Uncertainty = declared("The uncertainty", Uncertainty())

    @property
    def names(self) -> list[str]:
        """How errors name each series of images."""
        return item_names("images", self.images)

    def text(self, folder: Path | None = None) -> str:
        """Return the case as TOML with all defaults; `read_case` reads it back to an equal case.

        Parameters
        ----------
        folder : pathlib.Path, optional
            Where the text will lie, from which paths start; they are absolute where it is not given.
        """
        return "\n".join(lines(self, folder=folder and folder.resolve())) + "\n"


def read_case(path: str | os.PathLike, overrides: Sequence[str] = (), *, recorded: bool = False) -> Case:
    """Read and validate a case file.

    Parameters
    ----------
    path : str or os.PathLike
        The file; relative paths in it and in the overrides start from its folder.
    overrides : sequence of str
        Replacements ``key.path=value``; the value is TOML, or else a text.
    recorded : bool
        Whether the file is the record of a run, from which the files that it names may have been moved away.

    Raises
    ------
    InputError
        If the file cannot be read or is no TOML, a key is unknown or missing, or a value is refused, or the result to
        start from is none of the same model.
    """
    table = read_toml(path := Path(path), "a case file (TOML)")
    for text in overrides:
        override(path, table, text)
    case = Reader(path, existing=not recorded).section(Case, table)
    case = case if recorded else _started(case)
    _check_potential(path, case.laws.chemical_potential)
    _check_crystal(path, case)
    for key, domain in _domains(case):
        _check_domain(path, key, domain)
    _check_series(path, case)
    return case


def _started(case: Case) -> Case:
    """Return a case with laws that start where those of the result are that it names."""
    if case.start is None:
        return case
    path = case.start / "result.json" if case.start.is_dir() else case.start
    found, laws = read_result(path), {}
    if found.get("model") != case.model:
        raise InputError(path, "model", found.get("model"), f'the result of a case with model = "{case.model}"')
    for spec in fields(case.laws):
        with refusing_unreadable(path, f"a result with the law {spec.name}"):
            laws[spec.name] = started(getattr(case.laws, spec.name), spec.name, found["laws"][spec.name], path)
    return replace(case, laws=replace(case.laws, **laws))


def _domains(case: Case) -> list[tuple[str, Domain]]:
    """Return all domains that a case describes, with their keys."""
    own = [(f"{name}.domain", images.domain) for name, images in zip(case.names, case.images, strict=True)]
    return [("domain", case.domain), *((key, domain) for key, domain in own if domain is not None)]


def _check_domain(source: Path, key: str, domain: Domain) -> None:
    if domain.tags is not None and domain.boundary != "from-images":
        accepted = f'none, unless {key}.boundary = "from-images"'
        raise InputError(source, f"{key}.tags", list(domain.tags), accepted)
    if domain.boundary == "periodic" and domain.mesh not in ("rectangle", "box"):
        accepted = f'"rectangle" or "box", where {key}.boundary = "periodic"'
        raise InputError(source, f"{key}.mesh", domain.mesh, accepted)


def _check_series(source: Path, case: Case) -> None:
    """Check what several series of images ask for."""
    if len(case.images) == 1:
        return
    where = f", where there are {len(case.images)} series of images"
    if case.heterogeneity is not None:
        raise InputError(source, "heterogeneity", "a section", f"none{where}")
    if case.optimizer.hessian != "gauss-newton":
        raise InputError(source, "optimizer.hessian", toml(case.optimizer.hessian), f'"gauss-newton"{where}')
    for name, images in zip(case.names, case.images, strict=True):
        if (images.noise == 0) != (case.images[0].noise == 0):
            accepted = "noise of all series of images, or of none"
            found = f"{toml(images.noise)} beside {toml(case.images[0].noise)} of {case.names[0]}"
            raise InputError(source, f"{name}.noise", found, accepted)


def _check_potential(source: Path, law: Curve) -> None:
    """Check that the coefficients to start from are among those that the constraints allow."""
    if not isinstance(law, ChemicalPotential):
        return
    key = "laws.chemical_potential"
    if law.symmetric and any(law.coefficients[2::2]):
        accepted = "zeros for the even polynomials, where symmetric = true"
        raise InputError(source, f"{key}.coefficients", list(law.coefficients), accepted)
    if law.convex_ends and not law.ideal_entropy:
        m = np.array(law.starting[: law.size])
        found = m @ Legendre(law.size).slopes(np.array([0.0, 1.0]))[: len(m)]
        if not np.all(found > 0):
            accepted = "two or more coefficients with which it rises at 0 and 1, where convex_ends = true"
            raise InputError(source, key, f"slopes {found[0]:g} and {found[1]:g}", accepted)


def _check_crystal(source: Path, case: Case) -> None:
    """Check what only the phase-field crystal asks for."""
    if not isinstance(case.laws, CrystalLaws):
        return
    where = f', where model = "{case.model}"'
    for key, domain in _domains(case):
        if domain.boundary == "from-images":
            raise InputError(source, f"{key}.boundary", '"from-images"', f'"periodic" or "no-flux"{where}')
    if case.optimizer.hessian != "gauss-newton":
        raise InputError(source, "optimizer.hessian", toml(case.optimizer.hessian), f'"gauss-newton"{where}')
    if case.heterogeneity is not None:
        raise InputError(source, "heterogeneity", "a section", f"none{where}")
    kernel, key = case.laws.direct_correlation, "laws.direct_correlation"
    least, most = KERNEL_SIZES[kernel.basis]
    if kernel.size is not None and not least <= kernel.size <= most:
        accepted = f"{least}" if least == most else f"{least} to {most}"
        raise InputError(source, f"{key}.size", kernel.size, f'{accepted}, where basis = "{kernel.basis}"')
    given = kernel.coefficients
    if kernel.basis == "quartic" and given and not (len(given) == 3 and given[2] < 0):
        raise InputError(source, f"{key}.coefficients", list(given), "three numbers, the last one below zero")
