"""A caller compares photos with one subject no more often than the limit says."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.subject_attempts import WINDOW, SubjectAttempts
from app.domain.errors import RateLimited
from app.domain.identity import Caller, Scope, anonymous

GAPS = st.lists(st.sampled_from([0, 1, 600, 1799, 1800, 3599, 3600, 3601]), max_size=40)


@dataclass
class Clock:
    """Replaces the clock of the limit."""

    seconds: float = 1000.0

    def monotonic(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.access.subject_attempts.time", clock)
    return clock


def verifier(name: str = "key:1") -> Caller:
    return Caller(name, frozenset({Scope.VERIFY}))


def admits(attempts: SubjectAttempts, caller: Caller, gallery: str = "guests", subject: str = "ada") -> bool:
    try:
        attempts.acquire(caller, gallery, subject)
    except RateLimited:
        return False
    return True


def remembered(attempts: SubjectAttempts) -> int:
    return len(attempts._attempts)


@given(limit=st.integers(1, 4), gaps=GAPS)
def test_no_hour_has_more_attempts_than_the_limit(limit: int, gaps: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock, attempts, admitted = Clock(), SubjectAttempts(limit), list[float]()
        patch.setattr("app.access.subject_attempts.time", clock)
        for gap in gaps:
            clock.seconds += gap
            within_hour = [moment for moment in admitted if moment > clock.seconds - WINDOW]

            assert admits(attempts, verifier()) == (len(within_hour) < limit)
            admitted += [clock.seconds] * (len(within_hour) < limit)


def test_refusal_says_when_the_next_attempt_is_possible(clock: Clock) -> None:
    attempts = SubjectAttempts(2)
    attempts.acquire(verifier(), "guests", "ada")
    clock.seconds += 600
    attempts.acquire(verifier(), "guests", "ada")

    with pytest.raises(RateLimited, match="at most 2 comparisons with one subject per hour") as caught:
        attempts.acquire(verifier(), "guests", "ada")
    assert caught.value.seconds == 3000
    clock.seconds += caught.value.seconds
    assert admits(attempts, verifier())


@pytest.mark.usefixtures("clock")
def test_each_caller_gallery_and_subject_is_counted_alone() -> None:
    attempts = SubjectAttempts(1)
    others = [(verifier("key:2"), "guests", "ada"), (verifier(), "staff", "ada"), (verifier(), "guests", "bob")]

    assert admits(attempts, verifier())
    assert [admits(attempts, *each) for each in others] == [True, True, True]
    assert not admits(attempts, verifier())


@pytest.mark.parametrize(("limit", "caller"), [(0, verifier()), (1, anonymous("address:127.0.0.1"))])
def test_without_a_limit_and_for_an_administrator_nothing_is_counted(limit: int, caller: Caller) -> None:
    attempts = SubjectAttempts(limit)

    assert all(admits(attempts, caller) for _ in range(5))
    assert remembered(attempts) == 0


def test_attempts_of_the_past_are_forgotten(clock: Clock) -> None:
    attempts = SubjectAttempts(5)
    for number in range(500):
        attempts.acquire(verifier(), "guests", f"subject {number}")
    clock.seconds += WINDOW
    for _ in range(500):
        admits(attempts, verifier())

    assert remembered(attempts) == 1


@given(limit=st.integers(1, 4), gaps=GAPS)
def test_a_subject_is_exhausted_exactly_while_an_attempt_would_be_refused(limit: int, gaps: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        clock, attempts = Clock(), SubjectAttempts(limit)
        patch.setattr("app.access.subject_attempts.time", clock)
        for gap in gaps:
            clock.seconds += gap
            exhausted = attempts.exhausted(verifier(), "guests")

            assert attempts.admit(verifier(), "guests", "ada") == ("ada" not in exhausted)
            assert attempts.exhausted(verifier("key:2"), "guests") == attempts.exhausted(verifier(), "staff") == set()


def test_nobody_is_exhausted_for_an_administrator() -> None:
    attempts = SubjectAttempts(1)

    assert [attempts.admit(anonymous("address:127.0.0.1"), "guests", "ada") for _ in range(2)] == [True, True]
    assert attempts.exhausted(anonymous("address:127.0.0.1"), "guests") == set()


def test_exhausted_subjects_of_the_past_are_forgotten(clock: Clock) -> None:
    attempts = SubjectAttempts(1)
    for number in range(500):
        attempts.acquire(verifier(), "guests", f"subject {number}")
    clock.seconds += WINDOW
    for number in range(500):
        admits(attempts, verifier("key:2"), subject=f"subject {number}")

    assert sum(map(len, attempts._exhausted.values())) == 500
