"""DET and ROC curves of an evaluation, as a picture and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = {"pairs": "tab:grey", "clean": "tab:blue", "degraded": "tab:red"}
FIELDS = ("model", "probes", "threshold", "fmr", "fnmr")


def det_and_roc(report: dict[str, Any], path: Path) -> None:
    """
    Write a PNG with both curves, of the model and of the baseline if there is one, and a CSV of the same name.

    They are over all pairs, clean and degraded, or over the pairs of the protocol if the people are unknown.
    """
    from matplotlib.figure import Figure  # imported late: it writes a list of fonts into the home folder

    figure = Figure(figsize=(11, 5), layout="constrained")
    det, roc = figure.subplots(1, 2)
    for each, style in zip(_models(report), ("-", "--"), strict=False):
        for kind, curve in _curves(each):
            _draw(det, roc, curve, style, f"{each['model']['id']}, {kind}", COLORS[kind])
    det.set(xscale="log", yscale="log", xlabel="false match rate", ylabel="false non-match rate", title="DET")
    roc.set(xscale="log", xlabel="false match rate", ylabel="true match rate", title="ROC")
    for axes in (det, roc):
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    _write_csv(report, path.with_suffix(".csv"))


def _models(report: dict[str, Any]) -> list[dict[str, Any]]:
    return [report, report["baseline"]] if "baseline" in report else [report]


def _curves(report: dict[str, Any]) -> Iterator[tuple[str, list[dict[str, float]]]]:
    if not report["all_pairs"]:
        yield "pairs", report["curve"]
    for kind, measured in report["all_pairs"].items():
        yield kind, measured["curve"]


def _draw(det: Axes, roc: Axes, curve: list[dict[str, float]], style: str, label: str, color: str) -> None:
    points = [point for point in curve if point["fmr"] > 0]
    fmr, fnmr = [point["fmr"] for point in points], [point["fnmr"] for point in points]
    det.plot(fmr, [max(rate, 1e-5) for rate in fnmr], style, color=color, label=label)
    roc.plot(fmr, [1 - rate for rate in fnmr], style, color=color, label=label)


def _write_csv(report: dict[str, Any], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        writer.writeheader()
        for each in _models(report):
            for kind, curve in _curves(each):
                writer.writerows({"model": each["model"]["id"], "probes": kind, **point} for point in curve)
