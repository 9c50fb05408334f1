"""The judge of histories: what could have happened one after another, and what could not."""

import pytest

from tests.support.linearizable import FOREVER, Operation, is_linearizable

HERE, GONE, OTHER = (frozenset({value}) for value in (True, False, "other"))
PUT = Operation(0, 1, effect=True, seen=GONE)
UNKNOWN = Operation(0, FOREVER, effect=True, seen=None, is_certain=False)


def look(begin: float, end: float, *, seen: bool) -> Operation:
    return Operation(begin, end, None, HERE if seen else GONE)


@pytest.mark.parametrize(
    ("history", "possible"),
    [
        ([], True),
        ([PUT, look(2, 3, seen=True)], True),
        ([PUT, look(2, 3, seen=False)], False),
        ([PUT, look(0.5, 3, seen=False)], True),
        ([PUT, look(0.2, 0.4, seen=True), look(0.5, 0.6, seen=False)], False),
        ([PUT, Operation(2, 3, effect=False, seen=HERE), look(4, 5, seen=False)], True),
        ([PUT, Operation(2, 3, effect=True, seen=GONE)], False),
        ([UNKNOWN, look(2, 3, seen=False), look(4, 5, seen=True)], True),
        ([UNKNOWN, look(2, 3, seen=True), look(4, 5, seen=False)], False),
        ([UNKNOWN, look(2, 3, seen=False)], True),
        ([PUT, Operation(2, 3, effect="other", seen=HERE | OTHER), look(4, 5, seen=True)], False),
    ],
)
def test_a_history_is_judged(history: list[Operation], possible: bool) -> None:  # noqa: FBT001
    assert is_linearizable(history, initial=False) is possible
