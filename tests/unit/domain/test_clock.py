"""Times as text keep their order, and durations are parsed exactly."""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.clock import format_time, now, parse_duration, parse_time

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2999, 1, 1), timezones=ZONES)


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_their_times_in_any_time_zone(one: datetime, other: datetime) -> None:
    thousandths = [
        int((moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)) for moment in (one, other)
    ]
    assert (format_time(one) < format_time(other)) == (thousandths[0] < thousandths[1])
    assert (format_time(one) == format_time(other)) == (thousandths[0] == thousandths[1])


@given(MOMENTS)
def test_time_is_formatted_in_utc_with_milliseconds(moment: datetime) -> None:
    text = format_time(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert timedelta() <= moment - datetime.fromisoformat(text) < timedelta(milliseconds=1)


def test_now_is_the_present_time() -> None:
    before, moment, after = format_time(datetime.now(UTC)), now(), format_time(datetime.now(UTC))
    assert before <= moment <= after


@given(count=st.integers(1, 5000), unit=st.sampled_from(sorted(SECONDS)), before=st.sampled_from(["", " ", "\t"]))
def test_duration_is_a_number_of_units(count: int, unit: str, before: str) -> None:
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
        "9999999s",
        "1d\n1d",
    ],
)
def test_invalid_duration_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 30s") as refused:
        parse_duration(text)
    assert repr(text) in str(refused.value)


@given(count=st.integers(1, 999_999), unit=st.sampled_from(sorted(SECONDS)))
def test_accepted_duration_can_be_added_to_and_subtracted_from_the_present(count: int, unit: str) -> None:
    duration = timedelta(seconds=1)
    with suppress(ValueError):
        duration = parse_duration(f"{count}{unit}")
    assert format_time(datetime.now(UTC) - duration) < now() <= format_time(datetime.now(UTC) + duration)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00.000Z"),
        ("2027-01-31t12:00:00.1239z", "2027-01-31T12:00:00.123Z"),
        ("2027-01-31 12:00:00+02:30", "2027-01-31T09:30:00.000Z"),
    ],
)
def test_an_rfc_3339_time_is_a_moment_in_utc(text: str, moment: str) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize(
    "text",
    ["", "2027-01-31", "2027-01-31T12:00:00", "2027-02-30T12:00:00Z", "20270131T120000Z", "0001-01-01T00:00:00+01:00"],
)
def test_another_text_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as 2027-01-31T12:00:00Z, got "):
        parse_time(text)
