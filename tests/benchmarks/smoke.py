"""
`python -m tests.benchmarks.smoke`: measure some rows for about a minute, and compare them with the last report.

Only ratios against a peer in the same run are compared, and only with the report of this family of processors. A row
that seems slower is measured again: it fails if it is slower each time. Exit status 0 if no row is slower, 1 if one is,
2 if there is no report to compare with.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from rich.console import Console

from tests.benchmarks import decode, detect, http_cost, search
from tests.benchmarks.cores import one_core
from tests.benchmarks.machine import Machine
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import RATIO, Report, Row, file_of

console = Console(highlight=False)
SLOWER, TRIES = 1.15, 3
EFFORT = Effort(seconds=4.0)
Rows = Mapping[tuple[str, str], Row]


def _detection(effort: Effort) -> Iterable[Row]:
    with one_core():
        yield from detect.served(effort)


STAGES: tuple[Callable[[Effort], Iterable[Row]], ...] = (
    lambda effort: islice(decode.rows(effort), 2),
    _detection,
    search.rows,
    http_cost.rows,
)


def main() -> int:
    machine = Machine.this()
    file = file_of(machine.family)
    console.print(f"{machine.family}: {machine.summary}")
    if not file.exists():
        console.print(f"there is no {file}: measure this family of processors by `make bench`")
        return 2
    last = Report.model_validate_json(file.read_text(encoding="utf-8"))
    before = {(row.stage, row.case): row for row in last.rows}
    slower = [name for stage in STAGES for name in slower_rows(stage, before)]
    return 1 if slower else 0


def slower_rows(stage: Callable[[Effort], Iterable[Row]], before: Rows) -> set[tuple[str, str]]:
    """Return the names of the rows of a stage that are slower than before, each time that they are measured."""
    slower: set[tuple[str, str]] | None = None
    for _ in range(TRIES):
        found = {(row.stage, row.case) for row in stage(EFFORT) if _shown_slowdown(row, before) > SLOWER}
        slower = found if slower is None else slower & found
        if not slower:
            break
    return slower or set()


def _shown_slowdown(row: Row, before: Rows) -> float:
    factor = slowdown(row, before.get((row.stage, row.case)))
    console.print(
        f"{row.stage}: {row.case}: {'not comparable' if factor is None else f'{factor:.2f} times as long as before'}"
    )
    return factor or 0.0


def slowdown(row: Row, before: Row | None) -> float | None:
    """Return how many times as long as `before` a row takes, in units of its peer's time; None if that is unknown."""
    if before is None or row.unit != RATIO or before.unit != RATIO or not row.result or not before.result:
        return None
    return before.result / row.result if row.means == "as fast" else row.result / before.result


if __name__ == "__main__":
    sys.exit(main())
