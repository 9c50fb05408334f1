"""
`python -m tests.benchmarks [STAGE ...]`: measure, print a table, and write it down.

Exit status 0 where every target is met, 1 where one is missed or could not be measured, 2 where the command is wrong.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.benchmarks import (
    concurrency,
    decode,
    detect,
    embed,
    http_cost,
    memory,
    million,
    overload,
    pipeline,
    search,
    start,
)
from tests.benchmarks.machine import Machine, commit
from tests.benchmarks.measure import Effort
from tests.benchmarks.report import Report, Row, cells, publish

Stage = Callable[[Effort], Iterable[Row]]
STAGES: dict[str, Stage] = {
    "decode": decode.rows,
    "detect": detect.rows,
    "embed": embed.rows,
    "search": search.rows,
    "million": million.rows,
    "http": http_cost.rows,
    "verify": pipeline.rows,
    "concurrency": concurrency.rows,
    "overload": overload.rows,
    "start": start.rows,
    "memory": memory.rows,
}
cli = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
console = Console(width=200 if not sys.stdout.isatty() else None)


@cli.command()
def main(
    stages: Annotated[list[str] | None, typer.Argument(help=f"Of {', '.join(STAGES)}; all unless named.")] = None,
    json: Annotated[Path | None, typer.Option(help="Where the report goes.")] = None,
    committed: Annotated[bool, typer.Option("--publish", help="Renew docs/benchmarks and its page.")] = False,  # noqa: FBT002
    seconds: Annotated[float, typer.Option(min=0.1, help="For each comparison and each spell of load.")] = 8.0,
    requests: Annotated[int, typer.Option(min=50, help="Of the memory benchmark; 20000 in full.")] = 1000,
    starts: Annotated[int, typer.Option(min=1, help="Of the server.")] = 5,
) -> None:
    """Time every stage against its peers, alternately, and compare the ratios with their targets."""
    if unknown := set(stages or ()) - set(STAGES):
        raise typer.BadParameter(f"no stage is called {', '.join(sorted(unknown))}; there are {', '.join(STAGES)}")
    _forget_settings()
    chosen = {name: STAGES[name] for name in STAGES if name in (stages or STAGES)}
    report = measured(chosen, Effort(seconds, requests, starts))
    raise typer.Exit(publish(report, console, json, committed=committed))


def measured(stages: dict[str, Stage], effort: Effort) -> Report:
    """Return the report of all stages, and show each row when it is measured."""
    machine = Machine.this()
    console.print(f"{machine.family}: {machine.summary}", highlight=False)
    rows = []
    for name, stage in stages.items():
        for row in guarded(name, stage, effort):
            console.print(*cells(row), sep="  ", highlight=False)
            rows.append(row)
    return Report(
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        commit=commit(),
        command=" ".join(["python -m tests.benchmarks", *sys.argv[1:]]),
        machine=machine,
        rows=tuple(rows),
    )


def guarded(name: str, stage: Stage, effort: Effort) -> Iterator[Row]:
    """Yield the rows of a stage; if it fails, the last one says so, and the other stages go on."""
    try:
        yield from stage(effort)
    except Exception as error:
        yield Row(name, "broke off", error=f"{type(error).__name__}: {error}")


def _forget_settings() -> None:
    """Remove the settings of this process, so that the service is measured with its defaults."""
    for name in [name for name in os.environ if name.startswith("LIKENESS_")]:
        del os.environ[name]


if __name__ == "__main__":
    cli()
