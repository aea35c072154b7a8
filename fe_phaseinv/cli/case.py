"""Case files: what a run is, as validated values."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fe_phaseinv.cli.laws import relation, started
from fe_phaseinv.cli.models import model_class, refusing_model
from fe_phaseinv.cli.reading import Reader, item_names, override
from fe_phaseinv.cli.schema import (
    KERNEL_SIZES,
    Design,
    Domain,
    Drive,
    Field,
    Images,
    Kernel,
    Optimizer,
    Potential,
    Prior,
    Simulate,
    Surface,
    Time,
    Uncertainty,
    Validation,
    declared,
)
from fe_phaseinv.cli.sections import (
    Law,
    completed,
    data_section,
    drive_section,
    gathered,
    laws_section,
    options_section,
)
from fe_phaseinv.cli.writing import lines, toml
from fe_phaseinv.core.errors import InputError, read_toml, refusing_unreadable
from fe_phaseinv.laws.relations import Relation
from fe_phaseinv.models.built_in import BUILT_IN
from fe_phaseinv.models.declarations import FunctionLaw, NumberLaw
from fe_phaseinv.models.interface import Model
from fe_phaseinv.output.reading import read_result, result_file


def _of_model(section: Callable[[type[Model]], type | None]) -> Callable[[str | Path], type | None]:
    """Return what gives the class of a section for the model that a case names."""

    def found(model: str | Path) -> type | None:
        kind = model_class(model)
        with refusing_model(model):
            return section(kind)

    return found


@dataclass(frozen=True, kw_only=True)
class Case:
    """A validated case; the attributes are the keys and sections of its file, of `images` one or several."""

    model: str | Path = declared(
        "The equation, or a class of your own in a file",
        choices=tuple(BUILT_IN),
        member=True,
        example=next(iter(BUILT_IN)),
    )
    truth: Path | None = declared("A JSON file of true laws, to be drawn beside those learnt", None)
    start: Path | None = declared(
        "The result (its folder or result.json) of another case of the same model, on any mesh, with whose laws this "
        "one begins, but for those that it fixes",
        None,
    )
    images: tuple[Images, ...] = declared("The images")
    domain: Domain = declared("The domain", Domain())
    options: dict[str, Any] = declared(
        "What the model can be told besides its laws", by_model=_of_model(options_section)
    )
    laws: dict[str, Law] = declared("The laws", by_model=_of_model(laws_section))
    drive: Drive | None = declared("The mean, where the model keeps one", by_model=_of_model(drive_section))
    data: dict[str, tuple[tuple[float, float], ...]] = declared(
        "Numbers that are given in time", by_model=_of_model(data_section)
    )
    time: Time = declared("The time steps", Time())
    prior: Prior = declared("The prior of the laws", Prior())
    heterogeneity: Field | None = declared("A map of the kinetics", None)
    validation: Validation = declared("What is held out", Validation())
    optimizer: Optimizer = declared("The optimiser", Optimizer())
    uncertainty: Uncertainty = declared("The uncertainty", Uncertainty())
    simulate: Simulate = declared("The forward run", Simulate())
    design: Design = declared("What to measure next", Design())

    @property
    def model_class(self) -> type[Model]:
        """The class of the model."""
        return model_class(self.model)

    @property
    def kernels(self) -> list[Kernel]:
        """Laws that are functions of the wavenumber."""
        return [law for law in self.laws.values() if isinstance(law, Kernel)]

    @property
    def listed(self) -> dict[str, tuple[tuple[float, float], ...]]:
        """Numbers that are listed in time, by key."""
        found = {f"data.{name}": values for name, values in self.data.items()}
        return found | {f"{key}.mean": drive.mean for key, drive in self.drives if not isinstance(drive.mean, str)}

    @property
    def drives(self) -> list[tuple[str, Drive]]:
        """All drives that it describes, with their keys."""
        own = [(f"{name}.drive", images.drive) for name, images in zip(self.names, self.images, strict=True)]
        return [(key, drive) for key, drive in [("drive", self.drive), *own] if drive is not None]

    def drive_of(self, index: int) -> tuple[str, Drive | None]:
        """Return the key and the section of the drive of a series of images.

        Parameters
        ----------
        index : int
            Of the series.
        """
        own = self.images[index].drive
        return ("drive", self.drive) if own is None else (f"{self.names[index]}.drive", own)

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
    moved = gathered(path, table)
    case = Reader(path, not recorded, moved).section(Case, table)
    case = replace(case, laws=completed(path, case.model_class, case.laws))
    case = case if recorded else _started(case)
    for name, law in case.laws.items():
        _check_law(path, f"laws.{name}", case.model_class.declared(name), law)
    for key, values in case.listed.items():
        _check_listed(path, key, values)
    _check_drive(path, case)
    _check_limits(path, case)
    for key, domain in _domains(case):
        _check_domain(path, key, domain)
    _check_series(path, case)
    return case


def _started(case: Case) -> Case:
    """Return a case with laws that start where those of the result are that it names."""
    if case.start is None:
        return case
    path = result_file(case.start)
    found, laws = read_result(path), {}
    if found.get("model") != case.model_class.name:
        raise InputError(path, "model", found.get("model"), f"the result of a case with model = {toml(case.model)}")
    for name, law in case.laws.items():
        with refusing_unreadable(path, f"a result with the law {name}"):
            laws[name] = started(case.model_class.declared(name), law, found["laws"][name], path)
    return replace(case, laws=laws)


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
    count, held_out = len(case.images), case.validation.images
    if held_out and not set(held_out) < set(range(count)):
        accepted = f"some of 0 to {count - 1}, not all" if count > 1 else "none, where there is one series of images"
        raise InputError(source, "validation.images", list(held_out), accepted)
    if count == 1:
        return
    for name, images in zip(case.names, case.images, strict=True):
        if images.noisy != case.images[0].noisy:
            accepted = "noise of all series of images, or of none"
            found = f"{toml(images.noise)} beside {toml(case.images[0].noise)} of {case.names[0]}"
            raise InputError(source, f"{name}.noise", found, accepted)


def _check_law(source: Path, key: str, declared: FunctionLaw | NumberLaw, law: Law) -> None:
    """Check what the keys of a law say together."""
    try:
        made = relation(declared, law)
    except ValueError as error:
        raise InputError(source, key, error, "what its basis can be asked for") from error
    if isinstance(law, Potential):
        _check_potential(source, key, law, made)
    elif isinstance(law, Kernel):
        _check_kernel(source, key, law)
    elif isinstance(law, Surface) and len(law.coefficients) > np.prod(law.size):
        accepted = f"at most {np.prod(law.size)} ({key}.size)"
        raise InputError(source, f"{key}.coefficients", f"{len(law.coefficients)} numbers", accepted)


def _check_potential(source: Path, key: str, law: Potential, made: Relation) -> None:
    """Check that the coefficients to start from are among those that the constraints allow."""
    if any(law.coefficients[i] for i in made.absent if i != made.basis.constant and i < len(law.coefficients)):
        accepted = "zeros for the even polynomials, where symmetric = true"
        raise InputError(source, f"{key}.coefficients", list(law.coefficients), accepted)
    rows, known = made.rising
    m = np.array(law.starting[: law.size])
    slopes = rows[:, : len(m)] @ m + known
    if not np.all(slopes > 0):
        accepted = "two or more coefficients with which it rises at both ends, where convex_ends = true"
        raise InputError(source, key, f"slopes {slopes[0]:g} and {slopes[1]:g}", accepted)


def _check_kernel(source: Path, key: str, law: Kernel) -> None:
    least, most = KERNEL_SIZES[law.basis]
    if law.size is not None and not least <= law.size <= most:
        accepted = f"{least}" if least == most else f"{least} to {most}"
        raise InputError(source, f"{key}.size", law.size, f'{accepted}, where basis = "{law.basis}"')
    given = law.coefficients
    if law.basis == "quartic" and given and not (len(given) == 3 and given[2] < 0):
        raise InputError(source, f"{key}.coefficients", list(given), "three numbers, the last one below zero")


def _check_listed(source: Path, key: str, values: Sequence[tuple[float, float]]) -> None:
    times = [time for time, _ in values]
    if len(times) < 2 or np.any(np.diff(times) <= 0):
        raise InputError(source, key, f"the times {times}", "two times or more, increasing")


def _check_drive(source: Path, case: Case) -> None:
    low, high = case.model_class.fields[0].bounds
    for key, drive in case.drives:
        if drive_section(case.model_class) is None:
            raise InputError(source, key, "a section", f"none, where model = {toml(case.model)}")
        for _, mean in () if isinstance(drive.mean, str) else drive.mean:
            if not low < mean < high:
                raise InputError(source, f"{key}.mean", mean, f"means between {low:g} and {high:g}")


def _check_limits(source: Path, case: Case) -> None:
    """Check what not every model can have."""
    where = f", where model = {toml(case.model)}"
    for key, domain in _domains(case):
        if domain.boundary == "from-images" and case.model_class.boundary is None:
            raise InputError(source, f"{key}.boundary", '"from-images"', f'"periodic" or "no-flux"{where}')
    if case.kernels and case.optimizer.hessian != "gauss-newton":
        raise InputError(source, "optimizer.hessian", toml(case.optimizer.hessian), f'"gauss-newton"{where}')
    if case.kernels and case.heterogeneity is not None:
        raise InputError(source, "heterogeneity", "a section", f"none{where}")
