"""What happens on the root alone, and what is shared."""

import resource

import numpy as np
import pytest
from firedrake import Function, SpatialCoordinate, UnitSquareMesh, cos, pi
from mpi4py.MPI import COMM_WORLD, MAX

from fe_phaseinv.core.errors import InputError
from fe_phaseinv.core.parallel import any_rank, dealt, extremes, on_root, total
from fe_phaseinv.forward.model import ForwardModel
from fe_phaseinv.laws.bases import Legendre
from fe_phaseinv.laws.relations import Relation, ideal_entropy, positive
from fe_phaseinv.models.cahn_hilliard import CahnHilliard

ranks = pytest.mark.parallel([1, 3])


@ranks
def test_only_the_root_calls_and_all_have_the_result():
    calls = []

    def call(*arguments):
        calls.append(arguments)
        return {"rank": COMM_WORLD.rank, "sum": sum(arguments)}

    assert on_root(COMM_WORLD, call, 2, 3) == {"rank": 0, "sum": 5}
    assert calls == ([(2, 3)] if COMM_WORLD.rank == 0 else [])


@ranks
def test_calls_are_dealt_to_ranks():
    calls = [lambda number=number: (number, COMM_WORLD.rank) for number in range(4)]
    assert dealt(COMM_WORLD, calls) == [(number, number % COMM_WORLD.size) for number in range(4)]
    assert dealt(None, calls) == [(number, COMM_WORLD.rank) for number in range(4)]
    with pytest.raises(ZeroDivisionError):
        dealt(COMM_WORLD, [*calls, lambda: 1 // 0])
    assert dealt(COMM_WORLD, [lambda: 1]) == [1]


@ranks
def test_an_exception_reaches_all():
    def call():
        assert COMM_WORLD.rank == 0
        raise InputError("case.toml", "key", 3, "text")

    with pytest.raises(InputError, match="^case.toml: key: found 3; accepted: text$"):
        on_root(COMM_WORLD, call)
    assert on_root(COMM_WORLD, lambda: None) is None


class Demanding(Exception):
    """An exception that can be pickled, but not unpickled."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


def local_error():
    class Local(Exception):
        """An exception that cannot be pickled."""

    return Local("of here")


@ranks
@pytest.mark.parametrize(
    ("make", "found"),
    [
        (local_error, "of here"),
        (lambda: Demanding("one", "two"), "one and two"),
        (lambda: KeyboardInterrupt("stop"), "stop"),
        (lambda: SystemExit(3), "3"),
    ],
)
def test_whatever_is_raised_on_the_root_reaches_all(make, found):
    """An exception that cannot be sent comes as its text; an interruption leaves no rank waiting."""

    def call():
        raise make()

    with pytest.raises(BaseException, match=found) as caught:
        on_root(COMM_WORLD, call)
    kept = COMM_WORLD.rank == 0 or not issubclass(type(make()), Exception)
    assert caught.type.__name__ == (type(make()).__name__ if kept else "RuntimeError")
    assert on_root(COMM_WORLD, lambda: 1) == 1


@ranks
def test_a_result_that_cannot_be_sent_is_an_error_on_all():
    with pytest.raises(Exception, match="pickle"):
        on_root(COMM_WORLD, lambda: lambda: None)
    assert on_root(COMM_WORLD, lambda: 1) == 1


@ranks
def test_any_rank():
    last = COMM_WORLD.size - 1
    assert any_rank(COMM_WORLD, COMM_WORLD.rank == last) is True
    assert any_rank(COMM_WORLD, np.array([np.nan])[0] > 0) is False
    assert any_rank(COMM_WORLD, np.bool_(COMM_WORLD.rank == 0)) is True


@ranks
def test_extremes_ignore_what_is_not_finite():
    rank, size = COMM_WORLD.rank, COMM_WORLD.size
    assert extremes(COMM_WORLD, np.array([np.nan, rank, np.inf, -np.inf])) == (0.0, size - 1)
    assert extremes(COMM_WORLD, np.array([2.0] if rank == 0 else [])) == (2.0, 2.0)
    assert extremes(COMM_WORLD, np.array([np.nan])) == (np.inf, -np.inf)


@ranks
def test_total():
    n, rank = COMM_WORLD.size, COMM_WORLD.rank
    assert total(COMM_WORLD, rank + 0.5) == n * (n - 1) / 2 + n / 2
    assert isinstance(total(COMM_WORLD, 1), float)
    grid = np.arange(12.0).reshape(3, 4)
    for array in (grid, grid.T, grid[:, ::2], grid[:0], np.arange(3)):
        found = total(COMM_WORLD, array)
        np.testing.assert_array_equal(found, n * array)
        assert found.dtype == float
    np.testing.assert_array_equal(total(COMM_WORLD, grid + rank), n * grid + n * (n - 1) / 2)
    # The same array in another layout on another rank.
    np.testing.assert_array_equal(total(COMM_WORLD, np.asfortranarray(grid) if rank else grid), n * grid)


def resident():
    """Memory of the largest process, in MB."""
    with open("/proc/self/statm") as numbers:
        pages = int(numbers.read().split()[1])
    return COMM_WORLD.allreduce(pages * resource.getpagesize(), MAX) / 1e6


@pytest.mark.slow
@pytest.mark.parallel(3)
def test_runs_leave_no_factors_behind():
    """On several ranks PETSc destroys what Python drops only when asked: 0.5 MB for each factor here."""
    mesh = UnitSquareMesh(24, 24, quadrilateral=True, comm=COMM_WORLD)
    model = CahnHilliard(
        Relation("chemical_potential", Legendre(2), known=ideal_entropy),
        Relation("diffusivity", Legendre(1), transform=positive),
    )
    forward = ForwardModel(model, mesh, 2)
    m = forward.parameters.flat({"chemical_potential": [0, -3], "gradient_energy": [np.log(7.5e-4)]})
    x, y = SpatialCoordinate(mesh)
    start = Function(forward.space).interpolate(0.5 + 0.02 * cos(6 * pi * x) * cos(4 * pi * y)).dat.data_ro.copy()
    used = []
    for _ in range(3):
        forward.run(m, start, (0.0, 0.01), sensitivities=True)
        used.append(resident())
    assert forward.step.factorisations > 60
    assert used[-1] - used[0] < 8


@ranks
def test_a_result_that_cannot_be_sent_is_an_error_on_all_ranks():
    with pytest.raises((AttributeError, RuntimeError, TypeError), match="pickle"):
        dealt(COMM_WORLD, [lambda: COMM_WORLD.rank, lambda: lambda: 0])
    assert dealt(COMM_WORLD, [lambda: 1]) == [1]
