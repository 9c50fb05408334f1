"""Answers as sentences, with the error rates of the threshold that decided."""

from __future__ import annotations

from app.api import responses
from app.cli.liveness import liveness_line
from app.cli.tables import table


def verdict(answer: responses.Verification) -> str:
    bound = answer.threshold
    word, sign = ("match", "<=") if answer.match else ("no match", ">")
    first = f"{word}: distance {answer.distance:.3f} {sign} {bound.distance:.3f} ({_rates(bound)})"
    lines = [first, _meaning(bound)]
    return "\n".join(lines) + "".join(liveness_line(face.image, face) for face in answer.faces)


def bound_of_groups(bound: responses.ThresholdOut) -> str:
    first = f"grouped up to a mean distance of {bound.distance:.3f} ({_rates(bound)})"
    return f"{first}\n{_meaning(bound)}"


def names(answer: responses.Identification) -> str:
    candidates = answer.faces[0].candidates
    searched = f"{answer.gallery.subjects} subjects in gallery {answer.gallery.id!r}"
    rows = [
        (
            each.rank,
            each.subject_id,
            f"{each.distance:.3f}",
            f"{each.threshold.distance:.3f}",
            _percent(each.probability),
        )
        for each in candidates
    ]
    head = ("", "subject", "distance", "threshold", "probability")
    found = table(head, rows) if rows else f"no candidate among {searched}"
    return f"{found}\n{_meaning_of_search(answer)}" + liveness_line("face", answer.faces[0])


def found_faces(answer: responses.Detection) -> str:
    lines = [
        f"face at {', '.join(f'{side:.0f}' for side in face.box)}: confidence {face.confidence:.3f}, "
        f"quality {face.quality.overall:.2f}"
        for face in answer.faces
    ]
    return "\n".join(lines) or "no face found"


def _rates(bound: responses.ThresholdOut) -> str:
    if bound.fnmr is None:
        return "uncalibrated"
    fmr = "below the measured range" if bound.fmr is None else f"{bound.fmr:.2g}"
    return f"FMR {fmr}, FNMR {bound.fnmr:.2g}"


def _meaning(bound: responses.ThresholdOut) -> str:
    if bound.fnmr is None:
        return _UNCALIBRATED
    strangers = "fewer pairs of strangers than could be measured"
    if bound.fmr is not None:
        strangers = f"{_one_in(bound.fmr)} pairs of strangers"
    one_person = f"{_one_in(bound.fnmr)} pairs of one person"
    return f"On {bound.calibrated_on} {strangers} would match as well, and {one_person} would not."


def _meaning_of_search(answer: responses.Identification) -> str:
    bound = answer.threshold
    if bound.fpir is None or bound.fnmr is None:
        return _UNCALIBRATED
    return (
        f"By the rates of {bound.calibrated_on}, {_one_in(bound.fpir)} searches for a stranger would name someone, and "
        f"{_one_in(bound.fnmr)} searches for an enrolled person would miss them."
    )


_UNCALIBRATED = "How often that is wrong was not measured: the model is uncalibrated (python -m training calibrate)."


def _one_in(rate: float) -> str:
    """Return a rate as people say it: `1 in 10,000`."""
    if rate <= 0:
        return "none of the"
    return "all" if rate >= 1 else f"1 in {1 / rate:,.3g}" if rate > 0.01 else f"1 in {round(1 / rate):,}"


def _percent(probability: float | None) -> str:
    return "-" if probability is None else f"{min(probability, 0.9999):.2%}"
