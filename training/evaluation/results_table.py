"""`python -m training evaluate table`: the reports of benchmarks as one Markdown table, a row for each model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from training.errors import TrainingError

FARS = (1e-4, 1e-5)
"""The FARs in the tables of template protocols; of 1:N, rank 1 and all FPIRs are in them."""


class UnusableReport(TrainingError):
    """The file is not a report of `evaluate bin`, `lfw` or `templates`."""


def table(reports: Sequence[Path]) -> str:
    """Return the table; reports of one model share a row. Raises UnusableReport."""
    rows: dict[str, dict[str, str]] = {}
    for path in reports:
        report = _read(path)
        rows.setdefault(report["model"]["id"], {}).update(_cells(report, path.stem))
    columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
    lines = [["model", *columns], ["---"] * (len(columns) + 1)]
    lines += [[model, *(cells.get(column, "") for column in columns)] for model, cells in rows.items()]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _read(path: Path) -> dict[str, Any]:
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        list(_cells(report, path.stem))
        report["model"]["id"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnusableReport(f"{path}: expected a report of `evaluate bin`, `lfw` or `templates`: {error!r}") from error
    return report


def _cells(report: dict[str, Any], name: str) -> Iterator[tuple[str, str]]:
    """Yield the columns and their values: accuracies in percent, or TARs of templates."""
    for benchmark, each in report.get("benchmarks", {}).items():
        yield benchmark, _accuracy(each)
    if "accuracy" in report:
        yield name, _accuracy(report)
    elif "benchmarks" not in report:
        yield from _template_cells(report, name)


def _template_cells(report: dict[str, Any], name: str) -> Iterator[tuple[str, str]]:
    search = report.get("identification")
    for row in report["tar"] if search is None else report.get("tar", []):
        if row["far"] in FARS and row["supported"]:
            yield f"{name}, TAR at FAR {row['far']:g}", f"{100 * row['tar']:.2f}"
    if search is None:
        return
    yield f"{name}, rank 1", f"{100 * search['rank']['1']:.2f}"
    for row in search["tpir"]:
        if row["supported"]:
            yield f"{name}, TPIR at FPIR {row['fpir']:g}", f"{100 * row['tpir']:.2f}"


def _accuracy(report: dict[str, Any]) -> str:
    return f"{100 * report['accuracy']['mean']:.2f} +- {100 * report['accuracy']['error']:.2f}"
