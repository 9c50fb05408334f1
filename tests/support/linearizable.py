"""
Decide whether a history of operations on one register could have happened one after another (Wing and Gong 1993).

The register holds a value, for example the owner of a face. An operation that failed with an unknown outcome may have
taken effect at any moment after it began, or never.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cache

FOREVER = float("inf")


@dataclass(frozen=True, slots=True)
class Operation:
    """`effect` is the value that it leaves, or None for a read; `seen` are the values it may have seen, or None."""

    begin: float
    end: float
    effect: Hashable | None
    seen: frozenset[Hashable] | None
    is_certain: bool = True


def is_linearizable(history: Sequence[Operation], *, initial: Hashable) -> bool:
    operations = tuple(sorted(history, key=lambda each: each.begin))
    certain = sum(1 << place for place, each in enumerate(operations) if each.is_certain)

    @cache
    def possible(done: int, value: Hashable) -> bool:
        if done & certain == certain:
            return True
        first_end = min(each.end for place, each in enumerate(operations) if not done >> place & 1 and each.is_certain)
        for place, each in enumerate(operations):
            if done >> place & 1 or each.begin > first_end:
                continue
            if each.seen is not None and value not in each.seen:
                continue
            if possible(done | 1 << place, value if each.effect is None else each.effect):
                return True
        return False

    return possible(0, initial)
