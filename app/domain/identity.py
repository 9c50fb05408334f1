"""Who asks, and what they may."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.domain.errors import Forbidden


class Scope(StrEnum):
    VERIFY = "verify"
    IDENTIFY = "identify"
    ENROLL = "enroll"
    METRICS = "metrics"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did something, for the audit log, and in which request."""

    name: str
    request_id: str = ""


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Caller:
    """`galleries` None is all of them; `rate` (requests a second) and `concurrent` None are the service's limits."""

    name: str
    scopes: frozenset[Scope]
    galleries: frozenset[str] | None = None
    rate: int | None = None
    concurrent: int | None = None

    def require(self, scope: Scope) -> None:
        """Raises Forbidden; `admin` has every scope."""
        if not self.scopes & {scope, Scope.ADMIN}:
            raise Forbidden(f"this needs a key with the scope {scope.value!r}")

    def may_use(self, gallery_id: str) -> bool:
        return self.galleries is None or gallery_id in self.galleries

    def require_gallery(self, gallery_id: str) -> None:
        """Raises Forbidden, whether there is such a gallery or not."""
        if not self.may_use(gallery_id):
            raise Forbidden(f"this key is not for the gallery {gallery_id!r}")

    def require_all_galleries(self) -> None:
        if self.galleries is not None:
            raise Forbidden("this needs a key that is not limited to some galleries")


def anyone(name: str) -> Caller:
    """Where no keys are asked for."""
    return Caller(name, frozenset({Scope.ADMIN}))
