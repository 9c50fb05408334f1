"""Follow faces through the frames of a video, identify each track once, and report what happens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

from app.cli.video.frames import Frame, Frames
from app.cli.video.recognizers import Naming, Recognizer
from app.cli.video.tracking import Sighting, Track, Tracker
from app.client import Problem
from app.domain.errors import FaceNotFound
from app.domain.faces import Box

View = TypeVar("View")


class Watcher(Generic[View]):
    """
    A track is identified by its best face once it has `after` sightings, or when it ends.

    Only the last and the best sighting of the present tracks are kept.
    """

    def __init__(
        self, recognizer: Recognizer[View], emit: Callable[[Mapping[str, Any]], None], *, after: int, gone: float
    ) -> None:
        self._recognizer, self._emit, self._after = recognizer, emit, after
        self._tracker: Tracker[View] = Tracker(gone)
        self._subjects: dict[int, str | None] = {}
        self._time: float = 0
        self._at: datetime | None = None
        self.frames = self.tracks = self.named = 0

    async def run(self, frames: Frames) -> None:
        """Watch until there are no more frames; then every track ends."""
        while frame := await asyncio.to_thread(frames.next):
            await self._see(frame)
        for track in self._tracker.tracks:
            await self._end(track)

    async def _see(self, frame: Frame) -> None:
        self._time, self._at, self.frames = frame.time, frame.at, self.frames + 1
        sightings = await self._recognizer.find(frame.pixels)
        for track in self._tracker.update(sightings, frame.time):
            self.tracks += 1
            self._report("start", track, track.last)
        for track in self._tracker.ended(frame.time):
            await self._end(track)
        for track in self._tracker.tracks:
            if self._after and track.sightings >= self._after:
                await self._identify(track)

    async def _end(self, track: Track[View]) -> None:
        await self._identify(track)
        subject = self._subjects.pop(track.number)
        seen = {"started": round(track.started, 3), "seen": round(track.seen_at, 3), "sightings": track.sightings}
        self._report("end", track, track.last, {"subject": subject, **seen})

    async def _identify(self, track: Track[View]) -> None:
        if track.identified:
            return
        track.identified = True
        naming = await self._name(track.best.view)
        subject = self._subjects[track.number] = naming.subject if isinstance(naming, Naming) else None
        self.named += subject is not None
        self._report("identified", track, track.best, _named(naming))

    async def _name(self, view: View) -> Naming | str:
        """Return the code of the problem if a service finds no face in the view after all."""
        try:
            return await self._recognizer.name(view)
        except Problem as error:
            if error.code != FaceNotFound.code:
                raise
            return error.code

    def _report(
        self, event: str, track: Track[View], sighting: Sighting[View], more: Mapping[str, Any] | None = None
    ) -> None:
        self._emit(
            {
                "event": event,
                "track": track.number,
                "time": round(self._time, 3),
                "at": _text(self._at),
                "box": _sides(sighting.box),
                "quality": round(sighting.quality, 4),
                **(more or {}),
            }
        )


def _named(naming: Naming | str) -> Mapping[str, Any]:
    if isinstance(naming, str):
        return {"subject": None, "distance": None, "threshold": None, "fmr": None, "fpir": None, "error": naming}
    return {
        "subject": naming.subject,
        "distance": naming.distance,
        "threshold": naming.threshold,
        "fmr": naming.fmr,
        "fpir": naming.fpir,
    }


def _sides(box: Box) -> list[float]:
    return [round(side, 1) for side in (box.left, box.top, box.right, box.bottom)]


def _text(time: datetime | None) -> str | None:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None
