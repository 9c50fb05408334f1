"""The exception for an answer that is a problem document (RFC 9457)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


class Problem(Exception):
    """
    A request that the service refused. `code` names the cause (docs/api.md lists them), `detail` is a sentence.

    `image` is the field of the photo that is to blame, if one is; `document` has all members of the problem.
    """

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        self.status, self.document = status, dict(document)
        self.code = str(document.get("code", "unknown"))
        self.detail = str(document.get("detail") or document.get("title") or f"status {status}")
        self.image: str | None = document.get("image")
        self.request_id: str | None = document.get("request_id")
        super().__init__(f"{self.detail} ({self.code}, status {status})")

    @classmethod
    def of(cls, status: int, body: bytes) -> Problem:
        """Return the problem that a body says, or one of code "unknown" for the page of a proxy."""
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        return cls(status, document if isinstance(document, dict) else {})
