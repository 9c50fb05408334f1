"""
Faces followed from frame to frame by the overlap of their boxes, as IOU trackers do (Bochinski et al. 2017).

SORT adds a Kalman filter and the assignment of least cost: it would follow faster faces at fewer frames a second, and
needs numbers that suit the camera. A track that is lost and found again is only identified once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from app.domain.faces import Box

View = TypeVar("View")
LEAST_OVERLAP = 0.25
"""Intersection over union of the boxes of one face in two frames."""


@dataclass(frozen=True, slots=True)
class Sighting(Generic[View]):
    """A face in a frame; `view` is what it is identified by, and `quality`, in [0, 1], how good that is."""

    box: Box
    quality: float
    view: View


@dataclass(slots=True)
class Track(Generic[View]):
    """A face in several frames: the last sighting and the best one."""

    number: int
    started: float
    last: Sighting[View]
    best: Sighting[View]
    seen_at: float
    sightings: int = 1
    identified: bool = False

    def add(self, sighting: Sighting[View], time: float) -> None:
        self.last, self.seen_at, self.sightings = sighting, time, self.sightings + 1
        if sighting.quality > self.best.quality:
            self.best = sighting


@dataclass(slots=True)
class Tracker(Generic[View]):
    """Tracks end after `gone` seconds without a sighting."""

    gone: float
    tracks: list[Track[View]] = field(default_factory=list)
    _count: int = 0

    def update(self, sightings: Sequence[Sighting[View]], time: float) -> Sequence[Track[View]]:
        """Add a frame's faces to their tracks, and return the tracks that begin with it."""
        matched = _matches(self.tracks, sightings)
        for track, index in matched:
            track.add(sightings[index], time)
        known = {index for _, index in matched}
        begun = [self._begin(each, time) for index, each in enumerate(sightings) if index not in known]
        self.tracks += begun
        return begun

    def ended(self, time: float) -> Sequence[Track[View]]:
        """Remove the tracks that were not seen lately, and return them."""
        over = [track for track in self.tracks if time - track.seen_at > self.gone]
        self.tracks = [track for track in self.tracks if time - track.seen_at <= self.gone]
        return over

    def _begin(self, sighting: Sighting[View], time: float) -> Track[View]:
        self._count += 1
        return Track(self._count, time, sighting, sighting, time)


def _matches(tracks: Sequence[Track[View]], sightings: Sequence[Sighting[View]]) -> Sequence[tuple[Track[View], int]]:
    """Return pairs of a track and the index of its sighting, those that overlap most first."""
    overlaps = sorted(
        (
            (overlap(track.last.box, sighting.box), -track.number, index)
            for track in tracks
            for index, sighting in enumerate(sightings)
        ),
        reverse=True,
    )
    by_number, taken = {track.number: track for track in tracks}, set[int]()
    pairs = []
    for share, number, index in overlaps:
        if share >= LEAST_OVERLAP and index not in taken and -number in by_number:
            pairs.append((by_number.pop(-number), index))
            taken.add(index)
    return pairs


def overlap(one: Box, other: Box) -> float:
    """Return the intersection of two boxes over their union."""
    width = min(one.right, other.right) - max(one.left, other.left)
    height = min(one.bottom, other.bottom) - max(one.top, other.top)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (one.area + other.area - width * height)
