"""
Reports of measurements: as a table, as JSON for each family of processors, and as docs/benchmarks.md with all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel
from pydantic.dataclasses import dataclass
from rich.console import Console
from rich.table import Table

from tests.benchmarks.machine import Machine
from tests.benchmarks.measure import Laps, Time, ratio
from tests.support.server import REPOSITORY

Verdict: TypeAlias = Literal["met", "missed", "failed", "no target"]
RATIO, SHARE = "x", "%"
BOUND_BY_VENDOR = ("HTTP",)
"""Stages whose targets differ between the vendors of processors."""


class Target(BaseModel, frozen=True):
    """A bound on a figure; only the noise that the same run has measured may move it."""

    bound: float
    at_least: bool
    noise: float = 0.0

    def holds(self, figure: float) -> bool:
        return figure >= self.bound if self.at_least else figure <= self.bound + self.noise


def at_least(bound: float) -> Target:
    return Target(bound=bound, at_least=True)


def at_most(bound: float, noise: float = 0.0) -> Target:
    return Target(bound=bound, at_least=False, noise=noise)


@dataclass(frozen=True)
class Row:
    """
    One figure: a ratio of ours and a peer (`x`), a share (`%`, as a fraction), or a quantity with its unit.

    A row without a result has only our time; `error` describes a failure.
    """

    stage: str
    case: str
    result: float | None = None
    unit: str = RATIO
    means: str = ""
    target: Target | None = None
    note: str = ""
    ours: Time | None = None
    peer: str = ""
    theirs: Time | None = None
    error: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.error:
            return "failed"
        if self.target is None:
            return "no target"
        return "met" if self.result is not None and self.target.holds(self.result) else "missed"


def versus(stage: str, case: str, laps: Mapping[str, Laps], peer: str, **more: Any) -> Row:
    """Compare `ours` among the laps with the peer: by default, how many times as fast it is in CPU time."""
    fields = {"result": ratio(laps[peer].cpu, laps["ours"].cpu), "means": "as fast", **more}
    return Row(stage, case, ours=laps["ours"].time(), peer=peer, theirs=laps[peer].time(), **fields)


def share_of(laps: Mapping[str, Laps], peer: str) -> dict[str, Any]:
    """Return the result of `versus` as our share of the peer's CPU time."""
    return {"result": ratio(laps["ours"].cpu, laps[peer].cpu), "means": "the peer's time"}


class Report(BaseModel, frozen=True):
    date: str
    commit: str
    command: str
    machine: Machine
    rows: tuple[Row, ...]

    @property
    def good(self) -> bool:
        return not any(row.verdict in ("missed", "failed") for row in self.rows)


REPORTS, PAGE_FILE = REPOSITORY / "docs" / "benchmarks", REPOSITORY / "docs" / "benchmarks.md"
HEADINGS = ("stage", "case", "ours", "peer", "result", "target", "verdict")


def publish(report: Report, console: Console, json: Path | None, *, committed: bool = False) -> int:
    """Print the report and write it where asked, if `committed` into docs/; return the exit status."""
    console.print(table(report))
    for file in filter(None, [json, file_of(report.machine.family) if committed else None]):
        file.write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if committed:
        PAGE_FILE.write_text(document(committed_reports()), encoding="utf-8")
    return 0 if report.good else 1


def file_of(family: str) -> Path:
    return REPORTS / f"{family}.json"


def committed_reports() -> list[Report]:
    """Return the last report of each family of processors."""
    return [Report.model_validate_json(file.read_text(encoding="utf-8")) for file in sorted(REPORTS.glob("*.json"))]


def table(report: Report) -> Table:
    drawn = Table(*HEADINGS, title=f"Likeness {report.commit}, {report.date}")
    for row in report.rows:
        drawn.add_row(*cells(row), style="red" if row.verdict in ("missed", "failed") else None)
    return drawn


def cells(row: Row) -> tuple[str, ...]:
    """Return the cells of a row, under HEADINGS."""
    result = row.error or " ".join(filter(None, [quantity(row.result, row.unit), row.means]))
    target = bound(row.target, row.unit) if row.target else ""
    peer = " ".join(filter(None, [row.peer, spent(row.theirs)]))
    return row.stage, row.case, spent(row.ours), peer, result, target, row.verdict


def quantity(value: float | None, unit: str) -> str:
    if value is None:
        return ""
    if unit == SHARE:
        return f"{100 * value:.1f} %"
    return f"{value:.2f}x" if unit == RATIO else f"{value:.4g} {unit}"


def bound(target: Target, unit: str) -> str:
    sign, noise = ">=" if target.at_least else "<=", ""
    if target.noise:
        noise = f" + {100 * target.noise:.1f} % noise"
    return f"{sign} {quantity(target.bound, unit)}{noise}"


def spent(time: Time | None) -> str:
    """Return CPU time and wall time, separated by a slash."""
    return f"{time.cpu_ms:.3g} / {time.wall_ms:.3g} ms" if time else ""


PAGE = """\
# Benchmarks

Generated from the reports in `docs/benchmarks/`, one for each family of processors; do not edit. `make bench` measures
on this machine and renews its family's report; the others stay as they were, dated below. On an
NVIDIA GPU use `tests/benchmarks/gpu.sh` (with `--provider cpu` it rehearses without one). Accuracy is in
[evaluation.md](evaluation.md).

{machines}

Our code and the peer's run alternately, on one pinned core with one thread, unless a row is about
concurrency. Times are medians (CPU / wall). A result with `x` is the median of the ratios within rounds,
of CPU time unless it says otherwise. Ratios carry over to machines of the same family, times do not.
`make bench-smoke` measures some of the rows for a minute, and fails if one is 15 % slower than in the report of
the same family. Older reports keep their figures, and are judged by the targets of the newest one.

{table}

{notes}
- Not measured: dlib, face_recognition. It is not installed: it has no wheels and would have to be compiled.
"""
_MACHINE = """\
## {report.machine.family}

{report.machine.summary}. {verdicts}
Commit {report.commit}, {report.date}, Python {report.machine.python}, {packages}.

```
{report.command}
```
"""


def document(reports: Sequence[Report]) -> str:
    """Return the text of docs/benchmarks.md: the reports side by side, all judged by the targets of the newest one."""
    reports = with_newest_targets(reports)
    rows = [row for report in reports for row in report.rows]
    notes = dict.fromkeys(f"- {row.stage}: {row.note}" for row in rows if row.note)  # each once
    parts = {"table": "\n".join(_markdown_table(reports)), "notes": "\n".join(notes)}
    return PAGE.format(machines="\n".join(map(_machine, reports)).rstrip(), **parts)


def with_newest_targets(reports: Sequence[Report]) -> list[Report]:
    """Return the reports with the bounds of the newest one: figures stay as they were measured, targets do not."""
    newest = max(reports, key=lambda report: report.date)
    targets = {(row.stage, row.case): row.target for row in newest.rows if row.stage not in BOUND_BY_VENDOR}

    def judged(row: Row) -> Row:
        target = targets.get((row.stage, row.case))
        own = row.target or target
        return replace(row, target=own.model_copy(update={"bound": target.bound})) if own and target else row

    return [report.model_copy(update={"rows": tuple(map(judged, report.rows))}) for report in reports]


def _machine(report: Report) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in report.machine.packages.items())
    return _MACHINE.format(report=report, packages=packages, verdicts=_verdicts(report))


def _verdicts(report: Report) -> str:
    asked = [row for row in report.rows if row.verdict != "no target"]
    met = sum(row.verdict == "met" for row in asked)
    caution = " The machine had other work to do; measure again when it is idle." if report.machine.busy else ""
    return f"Of {len(asked)} targets {met} are met.{caution}"


def _markdown_table(reports: Sequence[Report]) -> list[str]:
    """Return a line for each case, in the order of the newest report, with three columns for each report."""
    newest_first = sorted(reports, key=lambda report: report.date, reverse=True)
    cases = dict.fromkeys((row.stage, row.case) for report in newest_first for row in report.rows)
    found = [{(row.stage, row.case): row for row in report.rows} for report in reports]
    headings = [f"{report.machine.family}: {name}" for report in reports for name in ("times", "result", "target")]
    table = [["stage", "case", *headings], ["---"] * (2 + len(headings))]
    table += [[*case, *(cell for rows in found for cell in _cells_beside(rows.get(case)))] for case in cases]
    return [_line(cells) for cells in table]


def _cells_beside(row: Row | None) -> tuple[str, str, str]:
    """Return the cells of a row in one report: our time and the peer's, the result, the target with its verdict."""
    if row is None:
        return "", "not measured", ""
    *_, ours, peer, result, target, verdict = cells(row)
    marked = f"**{verdict}**" if verdict in ("missed", "failed") else verdict
    times = " against ".join(filter(None, [ours, peer]))
    return times, result, f"{target} {marked}".strip()


def _line(parts: Sequence[str]) -> str:
    return f"| {' | '.join(part.replace('|', '/') for part in parts)} |"
