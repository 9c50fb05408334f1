"""The times of stages add up, and each stage opens a span."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from app.domain.errors import LikenessError
from app.services.timing import STAGES, StageTimer


def test_times_of_a_stage_are_summed_also_if_it_fails() -> None:
    timer = StageTimer()
    timer.add("queue", 0.5)
    timer.add("queue", 0.25)
    with pytest.raises(LikenessError), timer.stage("decode"):
        raise LikenessError

    assert timer.milliseconds()["queue"] == 750
    assert timer.milliseconds()["decode"] > 0


def test_stage_opens_a_span_of_its_name() -> None:
    events: list[str] = []

    @contextmanager
    def span(name: str) -> Iterator[None]:
        events.append(f"{name} begins")
        yield
        events.append(f"{name} ends")

    with StageTimer(span).stage("align"):
        events.append("aligning")

    assert events == ["align begins", "aligning", "align ends"]


def test_stage_that_did_not_happen_took_no_time() -> None:
    times = StageTimer().milliseconds()

    assert {name: times[name] for name in STAGES} == dict.fromkeys(STAGES, 0.0)
