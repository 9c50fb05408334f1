"""An Observer for tests."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class RecordingObserver:
    """Records every event as (name, value), in order."""

    events: list[tuple[Any, ...]] = field(default_factory=list)

    def on_photo(self, faces: int) -> None:
        self.events.append(("photo", faces))

    def on_rejected(self, reason: str) -> None:
        self.events.append(("rejected", reason))

    def on_compared(self, distance: float, *, match: bool) -> None:
        self.events.append(("compared", round(distance, 3), match))

    def on_batch(self, faces: int) -> None:
        self.events.append(("batch", faces))

    def on_expired(self, faces: int) -> None:
        self.events.append(("expired", faces))
