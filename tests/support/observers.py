"""An Observer that only remembers."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Noticed:
    """The events as (kind, value), in order."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def photo(self, faces: int) -> None:
        self.events.append(("photo", faces))

    def rejected(self, reason: str) -> None:
        self.events.append(("rejected", reason))

    def compared(self, distance: float, *, match: bool) -> None:
        self.events.append(("compared", round(distance, 3), match))

    def batch(self, faces: int) -> None:
        self.events.append(("batch", faces))

    def expired(self, faces: int) -> None:
        self.events.append(("expired", faces))
