"""
Decide whether a history of operations on one register could have happened one after another (Wing and Gong 1993).

The register holds whether something is there. An operation that failed with an unknown outcome may have taken effect at
any moment after it began, or never.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Operation:
    """`effect` is the state that it leaves, or None for a read; `seen` is the state that it saw, or None if unknown."""

    begin: float
    end: float
    effect: bool | None
    seen: bool | None
    is_certain: bool = True


def is_linearizable(history: Sequence[Operation], *, initial: bool = False) -> bool:
    operations = tuple(sorted(history, key=lambda each: each.begin))
    everything = (1 << len(operations)) - 1
    certain = sum(1 << place for place, each in enumerate(operations) if each.is_certain)

    @cache
    def possible(done: int, state: bool) -> bool:  # noqa: FBT001
        if done & certain == certain:
            return True
        first_end = min(each.end for place, each in enumerate(operations) if not done >> place & 1 and each.is_certain)
        for place, each in enumerate(operations):
            if done >> place & 1 or each.begin > first_end:
                continue
            if each.seen is not None and each.seen != state:
                continue
            if possible(done | 1 << place, state if each.effect is None else each.effect):
                return True
        return False

    return bool(everything == 0) or possible(0, initial)
