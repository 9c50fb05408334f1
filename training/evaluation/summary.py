"""The report of `evaluate lfw` as readable lines."""

from __future__ import annotations

from typing import Any

from training.evaluation import demographics_report


def summary(report: dict[str, Any]) -> str:
    accuracy, val, gain = report["accuracy"], report["val"], report.get("gain", {})
    lines = [
        f"{report['model']['id']}: {report['images']} images of {report['people'] or 'unknown'} people, "
        f"{report['faces_not_found']} faces not found",
        f"accuracy {accuracy['mean']:.4f} +- {accuracy['error']:.4f} over {len(accuracy['folds'])} folds",
        f"VAL {val['mean']:.4f} +- {val['error']:.4f} at FAR {val['far']:.2g}; "
        f"EER {report['eer']:.4f}; AUC {report['auc']:.5f}",
        *[f"gain over the baseline, {name}: {_signed(row, 'mean')}" for name, row in gain.get("protocol", {}).items()],
    ]
    for kind, measured in report["all_pairs"].items():
        lines += [_support(kind, measured), *[_line(kind, row) for row in measured["tmr"]]]
        lines += [
            f"{kind}: gain over the baseline {_signed(row, 'tmr')} at FMR {row['fmr']:g}" for row in gain.get(kind, [])
        ]
    lines += [_group_line(row) for row in report.get("groups", [])]
    return "\n".join(lines)


def _support(kind: str, measured: dict[str, Any]) -> str:
    pairs = f"{measured['impostor_people_pairs']:,} pairs of people"
    return f"{kind}: {pairs} support FMRs down to {measured['finest_fmr']:.1e}"


def _line(kind: str, row: dict[str, Any]) -> str:
    low, high = row["interval"]
    return (
        f"{kind}: TMR {row['tmr']:.4f} [{low:.4f}, {high:.4f}] at FMR {row['fmr']:g}, threshold {row['threshold']:.3f}"
    )


def _signed(row: dict[str, Any], name: str) -> str:
    low, high = row["interval"]
    return f"{row[name]:+.4f} [{low:+.4f}, {high:+.4f}]"


def _group_line(row: dict[str, Any]) -> str:
    if row["tmr"] is None:
        return demographics_report.line(row)
    low, high = row["tmr_interval"]
    return f"{demographics_report.line(row)}, TMR {row['tmr']:.4f} [{low:.4f}, {high:.4f}]"
