"""Moments as text, and durations out of text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta


def now() -> str:
    return format_time(datetime.now(UTC))


def format_time(moment: datetime) -> str:
    """Return `moment` as ISO 8601 in UTC with milliseconds; such strings sort in the order of their times."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


RFC_3339 = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"


def parse_time(text: str) -> str:
    """Return an RFC 3339 time with its offset, such as `2027-01-31T12:00:00Z`, as `format_time`. Raises ValueError."""
    try:
        if re.fullmatch(RFC_3339, text):
            return format_time(datetime.fromisoformat(text.upper()))
    except (ValueError, OverflowError):  # no such day, or a year that UTC does not have
        pass
    raise ValueError(f"expected a time such as 2027-01-31T12:00:00Z, got {text[:40]!r}")


_LONGEST = timedelta(days=36525)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """Parse `30s`, `15m`, `12h`, `90d` or `4w`. Raises ValueError."""
    found = re.fullmatch(r"\s*(\d{1,6})\s*([smhdw])\s*", text)
    if not found or not int(found[1]):
        raise ValueError(f"expected a duration such as 30s, 15m, 12h, 90d or 4w, got {text!r}")
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if duration > _LONGEST:
        raise ValueError(f"expected at most 100 years, got {text!r}")
    return duration
