"""Cursors of pages: the id of the last subject with a checksum, so that an invented one is an error, not a page."""

from __future__ import annotations

import base64
import binascii
import zlib

from app.domain.errors import InvalidCursor

_CHECKSUM_BYTES = 4


def cursor_of(subject_id: str) -> str:
    data = subject_id.encode()
    return base64.urlsafe_b64encode(_checksum(data) + data).decode().rstrip("=")


def subject_behind(cursor: str) -> str:
    """Return the id that the cursor was made of; an empty cursor is the start. Raises InvalidCursor."""
    if not cursor:
        return ""
    try:
        decoded = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        checksum, data = decoded[:_CHECKSUM_BYTES], decoded[_CHECKSUM_BYTES:]
        if checksum == _checksum(data):
            return data.decode()
    except (binascii.Error, ValueError):
        pass
    raise InvalidCursor("expected `next_cursor` of the previous page")


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(_CHECKSUM_BYTES)
