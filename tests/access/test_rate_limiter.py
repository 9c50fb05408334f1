"""Never more than allowed, in any second; and what is told of it is so."""

import asyncio
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.access.rate_limiter import RateLimiter, whole_seconds
from app.domain.errors import RateLimited
from app.domain.identity import Caller, Scope, anonymous

ADA, BOB = anonymous("ada"), anonymous("bob")
GAPS = st.lists(st.sampled_from([0, 1, 10, 249, 250, 333, 500, 999, 1000, 1001, 5000]), min_size=2, max_size=40)


@dataclass
class Clock:
    """What the limits take for time, in milliseconds since a moment of its own."""

    milliseconds: int = 1_700_000_000_000

    def monotonic(self) -> float:
        return self.milliseconds / 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("app.access.rate_limiter.time", made)
    return made


def limited(rate: int | None, concurrent: int | None = None, name: str = "key:1") -> Caller:
    return Caller(name, frozenset({Scope.VERIFY}), rate=rate, concurrent=concurrent)


@settings(max_examples=150)
@given(rate=st.integers(1, 6), gaps=GAPS)
def test_what_is_taken_is_what_a_plain_window_of_a_second_would_take(rate: int, gaps: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr("app.access.rate_limiter.time", clock)
        limits, taken = RateLimiter(rate, 0), list[int]()
        for gap in gaps:
            clock.milliseconds += gap
            inside = [moment for moment in taken if moment >= clock.milliseconds - 1000]
            allowance = limits.acquire(ADA)

            assert allowance is not None
            assert allowance.exceeded == (len(inside) >= rate)
            taken += [clock.milliseconds] * (not allowance.exceeded)


def test_in_no_second_of_the_real_clock_are_more_taken_than_allowed() -> None:
    rate, limits = 20, RateLimiter(20, 0)
    taken: list[tuple[float, float]] = []
    until = time.time() + 1.3
    while (before := time.time()) < until:
        allowance = limits.acquire(ADA)
        taken += [(before, time.time())] * (allowance is not None and not allowance.exceeded)
        time.sleep(0.002)

    assert len(taken) > rate
    assert all(later - earlier > 1 for (earlier, _), (_, later) in zip(taken, taken[rate:], strict=False))


def test_one_caller_takes_nothing_from_another() -> None:
    limits = RateLimiter(3, 0)
    spent = [limits.acquire(ADA) for _ in range(5)]
    fresh = limits.acquire(BOB)

    assert [each.exceeded for each in spent if each] == [False, False, False, True, True]
    assert fresh is not None
    assert (fresh.exceeded, fresh.remaining) == (False, 2)


def test_what_is_left_and_until_when_is_told(clock: Clock) -> None:
    limits, told = RateLimiter(3, 0), []
    for gap in (0, 400, 100, 300):
        clock.milliseconds += gap
        allowance = limits.acquire(ADA)
        assert allowance is not None
        told.append((allowance.limit, allowance.remaining, round(allowance.reset, 3), allowance.exceeded))

    assert told == [(3, 2, 1.0, False), (3, 1, 0.6, False), (3, 0, 0.5, False), (3, 0, 0.2, True)]


def test_who_waits_as_long_as_told_is_let_in(clock: Clock) -> None:
    limits = RateLimiter(2, 0)
    for _ in range(2):
        limits.acquire(ADA)
        clock.milliseconds += 300
    refused = limits.acquire(ADA)
    assert refused is not None
    clock.milliseconds += 1000 * int(whole_seconds(refused.reset))
    admitted = limits.acquire(ADA)

    assert refused.exceeded
    assert admitted is not None
    assert not admitted.exceeded


def test_a_refusal_says_the_limit_and_the_seconds_to_wait() -> None:
    limits = RateLimiter(1, 0)
    first, second = limits.acquire(ADA), limits.acquire(ADA)

    assert first is not None
    assert second is not None
    first.raise_if_exceeded()
    with pytest.raises(RateLimited, match="at most 1 requests a second") as refused:
        second.raise_if_exceeded()
    assert 0 < refused.value.seconds <= 1


@pytest.mark.parametrize(("own", "taken"), [(None, 2), (5, 5), (1, 1)])
def test_a_key_may_have_a_limit_of_its_own(own: int | None, taken: int) -> None:
    limits = RateLimiter(2, 0)
    answers = [limits.acquire(limited(own)) for _ in range(8)]

    assert sum(not each.exceeded for each in answers if each) == taken


@pytest.mark.parametrize(("service", "own"), [(0, None), (1, 0)])
def test_zero_is_no_limit_and_nothing_is_told_of_it(service: int, own: int | None) -> None:
    limits = RateLimiter(service, 0)

    assert [limits.acquire(limited(own)) for _ in range(50)] == [None] * 50


@pytest.mark.anyio
async def test_only_so_many_requests_of_a_caller_are_inside_at_once() -> None:
    limits, gate = RateLimiter(0, 2), asyncio.Event()

    async def request(caller: Caller) -> str:
        with limits.slot(caller):
            await gate.wait()
        return "done"

    running = [asyncio.create_task(request(caller)) for caller in (ADA, ADA, BOB)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited, match="at most 2 requests at once") as refused:
        await asyncio.wait_for(request(ADA), 1)
    gate.set()

    assert refused.value.seconds == 1
    assert await asyncio.gather(*running) == ["done"] * 3
    assert await request(ADA) == "done"


def test_a_request_that_fails_leaves() -> None:
    limits = RateLimiter(0, 1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limits.slot(ADA):
            1 / 0  # noqa: B018


@pytest.mark.parametrize(("service", "own", "most"), [(1, None, 1), (1, 3, 3), (3, 1, 1), (0, None, 9), (1, 0, 9)])
def test_how_many_at_once_may_be_a_keys_own_and_zero_is_no_limit(service: int, own: int | None, most: int) -> None:
    limits, inside = RateLimiter(0, service), 0
    places = [limits.slot(limited(None, own)) for _ in range(9)]
    for place in places[:most]:
        place.__enter__()
        inside += 1
    refused = [limits.slot(limited(None, own)) for _ in places[most:]]

    assert inside == most
    for place in refused:
        with pytest.raises(RateLimited):
            place.__enter__()


@given(st.floats(0, 1e6))
def test_a_header_never_asks_for_less_than_there_is_to_wait(seconds: float) -> None:
    written = whole_seconds(seconds)

    assert seconds <= int(written) <= max(1, seconds + 1)
    assert written.isdigit()


def test_callers_who_came_once_are_forgotten(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr("app.access.rate_limiter._CLEAN_UP_EVERY", 100)
    limits = RateLimiter(1000, 5)
    for number in range(500):
        limits.acquire(anonymous(f"address:{number}"))
    clock.milliseconds += 1001
    for _ in range(100):
        limits.acquire(ADA)

    assert list(limits._admitted) == [ADA.name]
