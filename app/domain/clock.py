"""Time as it is written."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta


def now() -> str:
    return written(datetime.now(UTC))


def written(moment: datetime) -> str:
    """ISO 8601 in UTC, to the millisecond: such strings sort as their times do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_LONGEST = timedelta(days=36525)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_duration(text: str) -> timedelta:
    """`30s`, `15m`, `12h`, `90d` or `4w`. Raises ValueError."""
    found = re.fullmatch(r"\s*(\d{1,6})\s*([smhdw])\s*", text)
    if not found or not int(found[1]):
        raise ValueError(f"want a duration such as 30s, 15m, 12h, 90d or 4w, got {text!r}")
    duration = timedelta(**{_UNITS[found[2]]: int(found[1])})
    if duration > _LONGEST:
        raise ValueError(f"want at most 100 years, got {text!r}")
    return duration
