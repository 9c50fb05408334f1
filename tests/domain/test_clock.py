"""Moments that sort as they are written, and durations that are what they say."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.clock import format_time, now, parse_duration

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
YEARS_100 = 100 * 365 * 86_400
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1), timezones=ZONES)


@given(MOMENTS, MOMENTS)
def test_moments_sort_by_their_text_whatever_zone_they_were_told_in(one: datetime, other: datetime) -> None:
    thousandths = [
        int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)) for moment in (one, other)
    ]

    assert (format_time(one) < format_time(other)) == (thousandths[0] < thousandths[1])
    assert (format_time(one) == format_time(other)) == (thousandths[0] == thousandths[1])


@given(MOMENTS)
def test_a_moment_is_written_in_utc_to_the_millisecond(moment: datetime) -> None:
    text = format_time(moment)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert timedelta() <= moment - datetime.fromisoformat(text) < timedelta(milliseconds=1)


def test_now_is_now() -> None:
    before, said, after = format_time(datetime.now(UTC)), now(), format_time(datetime.now(UTC))

    assert before <= said <= after


@given(count=st.integers(1, 5000), unit=st.sampled_from(sorted(SECONDS)), before=st.sampled_from(["", " ", "\t"]))
def test_a_duration_is_a_count_of_its_unit(count: int, unit: str, before: str) -> None:
    assert parse_duration(f"{before}{count}{before}{unit}{before}").total_seconds() == count * SECONDS[unit]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0d",
        "00s",
        "90",
        "d",
        "-1d",
        "+1d",
        "1.5h",
        "1e3s",
        "90D",
        "1y",
        "1d12h",
        "1 d d",
        "d90",
        "9" * 7 + "s",
        "1d\n1d",
    ],
)
def test_anything_else_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="want a duration such as 30s") as refused:
        parse_duration(text)

    assert repr(text) in str(refused.value)


@given(count=st.integers(1, 999_999), unit=st.sampled_from(sorted(SECONDS)))
def test_a_duration_that_is_taken_can_be_added_to_today_and_taken_off(count: int, unit: str) -> None:
    taken = _taken(f"{count}{unit}")

    assert format_time(datetime.now(UTC) - taken) < now() <= format_time(datetime.now(UTC) + taken)


def _taken(text: str) -> timedelta:
    """What it says, or a second where it is refused."""
    try:
        return parse_duration(text)
    except ValueError:
        return timedelta(seconds=1)
