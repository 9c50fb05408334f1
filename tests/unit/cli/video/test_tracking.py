"""Faces are followed by the overlap of their boxes."""

import pytest

from app.cli.video.tracking import Sighting, Tracker, overlap
from app.domain.faces import Box


def face(left: float, quality: float = 0.5, size: float = 100) -> Sighting[str]:
    return Sighting(Box(left, 0, left + size, size), quality, f"view at {left:g}")


def test_overlap_is_intersection_over_union() -> None:
    assert overlap(Box(0, 0, 2, 2), Box(1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert overlap(Box(0, 0, 2, 2), Box(2, 0, 4, 2)) == 0


def test_tracks_follow_their_faces_and_keep_the_best_view() -> None:
    tracker: Tracker[str] = Tracker(gone=1.0)
    one, other = tracker.update([face(0), face(300)], 0.0)
    assert tracker.update([face(320, 0.9), face(20, 0.4)], 0.5) == []
    assert (one.last.view, one.best.view) == ("view at 20", "view at 0")
    assert (other.last.view, other.best.view, other.sightings) == ("view at 320", "view at 320", 2)


def test_a_face_has_one_track_and_a_track_one_face_the_nearest() -> None:
    tracker: Tracker[str] = Tracker(gone=1.0)
    (track,) = tracker.update([face(0)], 0.0)
    (begun,) = tracker.update([face(40), face(10)], 0.2)
    assert (track.last.view, begun.last.view, begun.number) == ("view at 10", "view at 40", 2)


def test_a_track_ends_once_its_face_is_gone_for_long_enough() -> None:
    tracker: Tracker[str] = Tracker(gone=1.0)
    (track,) = tracker.update([face(0)], 0.0)
    assert tracker.ended(1.0) == []
    assert tracker.update([face(0)], 1.0) == []
    assert tracker.ended(2.5) == [track]
    assert len(tracker.update([face(0)], 2.5)) == 1
