"""No caller exceeds its limits, and each learns what remains."""

from contextlib import ExitStack
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
    """Replaces the clock of the rate limiter."""

    milliseconds: int = 1_700_000_000_000

    def monotonic(self) -> float:
        return self.milliseconds / 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.access.rate_limiter.time", clock)
    return clock


def limited(rate: int | None, concurrent: int | None = None, name: str = "key:1") -> Caller:
    return Caller(name, frozenset({Scope.VERIFY}), rate=rate, concurrent=concurrent)


@settings(max_examples=150)
@given(rate=st.integers(1, 6), gaps=GAPS)
def test_limiter_admits_what_a_list_of_all_times_would_admit(rate: int, gaps: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr("app.access.rate_limiter.time", clock)
        limiter, taken = RateLimiter(rate, 0), list[int]()
        for gap in gaps:
            clock.milliseconds += gap
            inside = [moment for moment in taken if moment >= clock.milliseconds - 1000]
            allowance = limiter.acquire(ADA)

            assert allowance is not None
            assert allowance.exceeded == (len(inside) >= rate)
            taken += [clock.milliseconds] * (not allowance.exceeded)


def test_allowance_has_the_remaining_requests_and_the_reset_time(clock: Clock) -> None:
    limiter, states = RateLimiter(3, 0), []
    for gap in (0, 400, 100, 300):
        clock.milliseconds += gap
        allowance = limiter.acquire(ADA)
        assert allowance is not None
        states.append((allowance.limit, allowance.remaining, round(allowance.reset, 3), allowance.exceeded))
    assert states == [(3, 2, 1.0, False), (3, 1, 0.6, False), (3, 0, 0.5, False), (3, 0, 0.2, True)]


def test_caller_that_waits_until_the_reset_is_admitted(clock: Clock) -> None:
    limiter = RateLimiter(2, 0)
    for _ in range(2):
        limiter.acquire(ADA)
        clock.milliseconds += 300
    refused = limiter.acquire(ADA)
    assert refused is not None
    clock.milliseconds += 1000 * int(whole_seconds(refused.reset))
    admitted = limiter.acquire(ADA)
    assert refused.exceeded
    assert admitted is not None
    assert not admitted.exceeded


def test_exceeded_allowance_raises_rate_limited_with_the_seconds_to_wait() -> None:
    limiter = RateLimiter(1, 0)
    first, second = limiter.acquire(ADA), limiter.acquire(ADA)
    assert first is not None
    assert second is not None
    first.raise_if_exceeded()
    with pytest.raises(RateLimited, match="at most 1 requests per second") as refused:
        second.raise_if_exceeded()
    assert 0 < refused.value.seconds <= 1


@pytest.mark.parametrize(("service", "own"), [(0, None), (1, 0)])
def test_rate_zero_means_no_limit_and_no_allowance(service: int, own: int | None) -> None:
    limiter = RateLimiter(service, 0)
    assert [limiter.acquire(limited(own)) for _ in range(50)] == [None] * 50


def test_failed_request_releases_its_slot() -> None:
    limiter = RateLimiter(0, 1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), limiter.slot(ADA):
            1 / 0  # noqa: B018


@pytest.mark.parametrize(("service", "own", "most"), [(1, None, 1), (1, 3, 3), (3, 1, 1), (0, None, 9), (1, 0, 9)])
def test_key_may_have_its_own_number_of_slots_and_zero_means_no_limit(service: int, own: int | None, most: int) -> None:
    limiter, caller = RateLimiter(0, service), limited(None, own)
    with ExitStack() as stack:
        for _ in range(most):
            stack.enter_context(limiter.slot(caller))
        for _ in range(9 - most):
            with pytest.raises(RateLimited), limiter.slot(caller):
                pass


@given(st.floats(0, 1e6))
def test_whole_seconds_are_rounded_up(seconds: float) -> None:
    text = whole_seconds(seconds)
    assert seconds <= int(text) <= max(1, seconds + 1)
    assert text.isdigit()


def test_callers_without_recent_requests_are_forgotten(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr("app.access.rate_limiter._CLEAN_UP_EVERY", 100)
    limiter = RateLimiter(1000, 5)
    for number in range(500):
        limiter.acquire(anonymous(f"address:{number}"))
    clock.milliseconds += 1001
    for _ in range(100):
        limiter.acquire(ADA)
    assert list(limiter._admitted) == [ADA.name]
