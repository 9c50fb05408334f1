"""DET and ROC curves of an evaluation, drawn by matplotlib; the numbers stay in the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def det_and_roc(report: dict[str, Any], path: Path) -> None:
    """Write a PNG with both curves, clean and degraded, of the model and of the baseline where there is one."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    det, roc = figure.subplots(1, 2)
    for each, style in ((report, "-"), (report.get("baseline"), "--")):
        if each:
            _draw(det, roc, each, style)
    det.set(
        xscale="log", yscale="log", xlabel="false match rate", ylabel="false non-match rate", title="DET, all pairs"
    )
    roc.set(xscale="log", xlabel="false match rate", ylabel="true match rate", title="ROC, all pairs")
    for axes in (det, roc):
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _draw(det: Axes, roc: Axes, report: dict[str, Any], style: str) -> None:
    for kind, colour in (("clean", "tab:blue"), ("degraded", "tab:red")):
        curve = [point for point in report["all_pairs"][kind]["curve"] if point["fmr"] > 0]
        fmr, fnmr = [point["fmr"] for point in curve], [point["fnmr"] for point in curve]
        label = f"{report['model']['id']}, {kind}"
        det.plot(fmr, [max(rate, 1e-5) for rate in fnmr], style, color=colour, label=label)
        roc.plot(fmr, [1 - rate for rate in fnmr], style, color=colour, label=label)
