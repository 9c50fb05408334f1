"""The part of a model card with what an evaluation measured, beside another model if there is one."""

from __future__ import annotations

from typing import Any

_MEASURES = {"accuracy": "accuracy over folds", "val": "VAL", "eer": "EER", "auc": "AUC"}


def accuracy_part(report: dict[str, Any], *, fine_tuned: bool) -> str:
    before = report.get("baseline")
    if fine_tuned:
        title, first, second = "before and after", "before", "after"
        meaning = _before(before)
    else:
        second = report["model"]["id"]
        first = before["model"]["id"] if before else "-"
        title, meaning = "beside another model", "Both models were measured in the same run. " if before else ""
    labels = {**_MEASURES, "val": f"VAL at FAR {report['val']['far']:.2g}"}
    rows = [f"| {label} | {_cell(before, key)} | {_cell(report, key)} |" for key, label in labels.items()]
    rows += [row for kind in report["all_pairs"] for row in _rate_rows(report, before, kind)]
    probe, people = report["degraded_probe"], report["people"] or "unknown"
    return f"""## Measured, {title}

The served pipeline (bytes in, distance out) on {report["images"]} images of {people} people, never trained
on; {report["faces_not_found"]} faces not found. {meaning}In brackets 95 %
intervals, bootstrapped over people. A degraded probe is the aligned crop reduced to {probe["size"]} px, JPEG quality
{probe["quality"]}, landmarks off by N(0, {probe["noise"]:g}) px, against a clean reference.{_support(report)}

| measure | {first} | {second} |
|---|---|---|
{chr(10).join(rows)}
"""


def _before(baseline: dict[str, Any] | None) -> str:
    if baseline is None:
        return ""
    offsets = "with" if baseline["model"]["threshold_offset"] else "without"
    return f'"Before" is {baseline["model"]["id"]} {offsets} threshold offsets, in the same run.\n'


def _cell(report: dict[str, Any] | None, key: str) -> str:
    if report is None:
        return "-"
    value = report[key]
    return f"{value['mean']:.4f} +- {value['error']:.4f}" if isinstance(value, dict) else f"{value:.4f}"


def _support(report: dict[str, Any]) -> str:
    clean = report["all_pairs"].get("clean")
    if clean is None:
        return ""
    pairs, finest = clean["impostor_people_pairs"], clean["finest_fmr"]
    return f"""
Rates are stated down to FMR {finest:.1e}, the finest that {pairs:,} pairs of people support (the rule of three)."""


def _rate_rows(report: dict[str, Any], before: dict[str, Any] | None, kind: str) -> list[str]:
    after = report["all_pairs"][kind]["tmr"]
    earlier = before["all_pairs"].get(kind, {}).get("tmr") if before else None
    earlier = earlier or [None] * len(after)
    return [
        f"| {kind}, TMR at FMR {new['fmr']:g} | {_rate(old)} | {_rate(new)} |"
        for old, new in zip(earlier, after, strict=True)
    ]


def _rate(row: dict[str, Any] | None) -> str:
    return f"{row['tmr']:.4f} [{row['interval'][0]:.4f}, {row['interval'][1]:.4f}]" if row else "-"
