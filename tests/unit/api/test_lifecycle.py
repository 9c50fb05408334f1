"""The state of the service between start and stop."""

import asyncio
from dataclasses import dataclass

import pytest

from app.server.shutdown import Lifecycle


@dataclass
class Clock:
    seconds: float = 100.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("app.server.shutdown.time", made)
    return made


def told(lifecycle: Lifecycle) -> tuple[bool, bool, float | None]:
    return lifecycle.stopping, lifecycle.draining, lifecycle.seconds_draining()


@pytest.mark.usefixtures("clock")
def test_a_service_that_was_not_stopped_takes_requests() -> None:
    assert told(Lifecycle()) == told(Lifecycle(10)) == (False, False, None)


def test_without_a_delay_requests_are_refused_at_once(clock: Clock) -> None:
    lifecycle = Lifecycle()
    lifecycle.stop()
    clock.seconds += 2.5

    assert told(lifecycle) == (True, True, 2.5)


def test_with_a_delay_they_are_taken_for_so_long(clock: Clock) -> None:
    lifecycle, seen = Lifecycle(3), []
    lifecycle.stop()
    for _ in range(4):
        seen.append(told(lifecycle))
        clock.seconds += 1.5

    assert seen == [(True, False, None), (True, False, None), (True, True, 0), (True, True, 1.5)]


def test_who_stops_it_again_does_not_begin_anew(clock: Clock) -> None:
    lifecycle = Lifecycle(3)
    lifecycle.stop()
    clock.seconds += 4
    lifecycle.stop()

    assert told(lifecycle) == (True, True, 1)


def test_it_is_idle_when_nothing_is_under_way_also_when_something_failed() -> None:
    lifecycle, seen = Lifecycle(), []
    with lifecycle.in_flight():
        with pytest.raises(ZeroDivisionError), lifecycle.in_flight():
            1 / 0  # noqa: B018
        seen.append(lifecycle.idle)
    seen.append(lifecycle.idle)

    assert seen == [False, True]


@pytest.mark.anyio
async def test_cutting_ends_what_is_inside_and_nothing_else() -> None:
    lifecycle, outcomes = Lifecycle(), []

    async def work(seconds: float) -> None:
        try:
            async with asyncio.timeout(5) as limit:
                with lifecycle.abortable(limit):
                    await asyncio.sleep(seconds)
                await asyncio.sleep(0.1)
        except TimeoutError:
            outcomes.append(f"{seconds:g} was cut")
        else:
            outcomes.append(f"{seconds:g} ended")

    jobs = [asyncio.create_task(work(seconds)) for seconds in (0, 60, 90)]
    await asyncio.sleep(0.01)
    lifecycle.abort()
    lifecycle.abort()
    await asyncio.gather(*jobs)

    assert sorted(outcomes) == ["0 ended", "60 was cut", "90 was cut"]
