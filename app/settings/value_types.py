"""The types of settings, and the checks of those that are written as text."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator

from app.domain.clock import parse_duration

DAY = 86400.0
LARGE = 10**9
"""Bound of what has no other: far beyond any use, and no number of the libraries overflows."""


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def check_origins(text: str | None) -> str | None:
    """Raises ValueError; `*` is refused too, since every page could then use a key that a browser keeps."""
    for origin in (text or "").split(","):
        if text and not re.fullmatch(r"https?://[^/\s*?#@]+", origin.strip()):
            raise ValueError(f"expected origins such as https://app.example, got {origin.strip()!r}")
    return text


def check_site(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"https?://[^\s?#@]+", text):
        raise ValueError(f"expected a site such as https://mirror.example, got {text!r}")
    return text


def check_proxies(text: str | None) -> str | None:
    """Raises ValueError for anything that the server would compare with no address, and so ignore."""
    for each in text.split(",") if text is not None else ():
        try:
            ip_network(each.strip())
        except ValueError as error:
            raise ValueError(f"expected addresses or networks such as 10.0.0.0/8, got {each.strip()!r}") from error
    return text


def check_search(text: str) -> str:
    """Raises ValueError. The text itself is not in the message, since it may have a password."""
    if "://" not in text:
        text = text.lower()
    if text not in ("exact", "hnsw", "pgvector", "pgvector-hnsw") and not text.startswith("milvus://"):
        raise ValueError("expected exact, hnsw, pgvector, pgvector-hnsw or milvus://host:port")
    if "@" in text:
        raise ValueError("expected an address without a password, which belongs into LIKENESS_SEARCH_TOKEN")
    return text


def lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
AnyCase = BeforeValidator(lower)
"""Lets a choice be written in capitals."""
