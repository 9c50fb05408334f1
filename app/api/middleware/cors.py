"""Cross-origin requests of browsers, which are off unless origins are named."""

from __future__ import annotations

from typing import Any

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
REQUEST_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "X-API-Key", "X-Request-ID")
RESPONSE_HEADERS = ("X-Request-ID", "Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def cors_options(origins: str) -> dict[str, Any]:
    """Return the options of Starlette's CORSMiddleware; `origins` are separated by commas. Cookies are never used."""
    return {
        "allow_origins": [origin.strip() for origin in origins.split(",")],
        "allow_methods": METHODS,
        "allow_headers": REQUEST_HEADERS,
        "expose_headers": RESPONSE_HEADERS,
        "max_age": 600,
    }
