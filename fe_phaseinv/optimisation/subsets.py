"""The best few of many things, of which only the merit of a set of them is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

BETTER = 1e-9
"""Share of a merit that an exchange must gain: less may be rounding."""

Merit = Callable[[Sequence[int]], float]


def greedy(merit: Merit, among: Sequence[int], count: int) -> tuple[list[int], list[float]]:
    """Return things in the order in which each next one makes the set best, and the merits on the way.

    Parameters
    ----------
    merit : callable
        Of a sequence of numbers.
    among : sequence of int
        Numbers of all things.
    count : int
        How many; all where there are fewer.
    """
    order, merits = [], []
    while len(order) < min(count, len(among)):
        found = {number: merit([*order, number]) for number in among if number not in order}
        order.append(max(found, key=found.get))
        merits.append(found[order[-1]])
    return order, merits


def exchanged(merit: Merit, among: Sequence[int], chosen: Sequence[int]) -> list[int]:
    """Exchange a thing for another one, each time the two with which the set is best, until none is better.

    Fedorov, Theory of Optimal Experiments (Academic Press, 1972), chapter 3.

    Parameters
    ----------
    merit : callable
        Of a sequence of numbers.
    among : sequence of int
        Numbers of all things.
    chosen : sequence of int
        Those to begin with.
    """
    chosen, best = list(chosen), merit(chosen)
    while True:
        others = [number for number in among if number not in chosen]
        swaps = [[*(number for number in chosen if number != out), new] for out, new in product(chosen, others)]
        merits = [merit(swap) for swap in swaps]
        if not swaps or max(merits) <= best + BETTER * abs(best):
            return chosen
        best = max(merits)
        chosen = swaps[merits.index(best)]
