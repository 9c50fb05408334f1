"""Vectors of crops are computed once, also by a command that was stopped."""

from pathlib import Path

import numpy as np
import pytest

from app.domain.arrays import Floats, Pixels
from training.pipeline import vector_cache
from training.pipeline.vector_cache import VectorCache

CROPS = np.arange(5 * 2 * 2 * 3, dtype=np.uint8).reshape(5, 2, 2, 3)


class Stopped(Exception):
    pass


def sums(crops: Pixels) -> Floats:
    """Return two numbers of each crop."""
    total = crops.reshape(len(crops), -1).sum(axis=1, dtype=np.float32)
    return np.stack([total, -total], axis=1)


def cache(folder: Path) -> VectorCache:
    return VectorCache(folder, "sha256:" + "a" * 64, 2)


class Counting:
    """Computes `sums` and counts the crops of each call; stops at a call for `stop_at` crops."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.calls: list[int] = []
        self._stop_at = stop_at

    def __call__(self, crops: Pixels) -> Floats:
        if len(crops) == self._stop_at:
            raise Stopped
        self.calls.append(len(crops))
        return sums(crops)


def test_only_new_crops_are_computed_and_all_come_in_order(tmp_path: Path) -> None:
    embed = Counting()
    cache(tmp_path).vectors(CROPS[:3], embed)
    asked = CROPS[[4, 1, 4, 0]]
    np.testing.assert_array_equal(cache(tmp_path).vectors(asked, embed), sums(asked))
    assert embed.calls == [3, 1]


def test_what_was_computed_before_a_stop_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cache, "CHUNK", 2)
    with pytest.raises(Stopped):
        cache(tmp_path).vectors(CROPS, Counting(stop_at=1))
    again = Counting()
    cache(tmp_path).vectors(CROPS, again)
    assert again.calls == [1]


@pytest.mark.parametrize(("digest", "provider"), [("b" * 64, ""), ("a" * 64, "openvino"), ("a" * 15 + "b" * 49, "")])
def test_another_embedder_or_provider_has_its_own_vectors(tmp_path: Path, digest: str, provider: str) -> None:
    cache(tmp_path).vectors(CROPS, sums)
    other = VectorCache(tmp_path, f"sha256:{digest}", 2, provider)
    np.testing.assert_array_equal(other.vectors(CROPS, lambda crops: 2 * sums(crops)), 2 * sums(CROPS))
