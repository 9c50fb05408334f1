from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from app.domain.arrays import Floats
from app.faces.detector.nets import OUTPUT_BATCH, REFINE_BATCH, OutputNet, ProposalNet, RefineNet
from app.faces.detector.pyramid import CHANNELS
from app.inference.onnx_session import Session

Array = npt.NDArray[Any]


class CountingSession(Session):
    """Returns for each crop the value of its first pixel, plus 1000 times the index of the output in its row."""

    def __init__(self, *widths: int) -> None:
        self.widths, self.batches = widths, list[int]()

    def run(self, *arrays: Array) -> list[Array]:
        (crops,) = arrays
        self.batches.append(len(crops))
        value = crops[:, 0, 0, 0]
        return [value[:, None] + 1000 * np.arange(width, dtype=np.float32) for width in self.widths]


class LevelSession(Session):
    def __init__(self) -> None:
        pass

    """Returns four planes of offsets and one of logits for a level, each filled with its number."""

    def run(self, *arrays: Array) -> list[Array]:
        (level,) = arrays
        height, width = (level.shape[1] - 9) // 2, (level.shape[2] - 9) // 2
        planes = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((height, width), np.float32)
        return [planes[None, :4], planes[None, 4:]]


def numbered(count: int, size: int) -> Floats:
    return np.arange(count, dtype=np.float32)[:, None, None, None] * np.ones((size, size, CHANNELS), np.float32)


def test_p_net_gives_the_logit_of_a_face_and_four_offsets_per_cell() -> None:
    logits, offsets = ProposalNet(LevelSession())(np.zeros((20, 30, CHANNELS), np.float32))
    assert logits.shape == (5, 10)
    assert (logits == 4).all()
    assert offsets[:, 0, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("height", [12, 13, 29, 30, 31, 51, 52, 90, 91])
def test_p_net_gives_the_same_for_a_level_in_strips_as_at_once(
    nets: tuple[ProposalNet, RefineNet, OutputNet], monkeypatch: pytest.MonkeyPatch, height: int
) -> None:
    level = np.random.default_rng(height).integers(0, 256, (height, 40, CHANNELS)).astype(np.float32)
    at_once = nets[0](level)
    monkeypatch.setattr("app.faces.detector.nets.STRIP_PIXELS", 40 * 20)
    in_strips = nets[0](level)
    for strips, whole in zip(in_strips, at_once, strict=True):
        np.testing.assert_allclose(strips, whole, atol=1e-5)


def test_r_net_gives_the_probability_of_a_face_and_four_offsets_per_crop() -> None:
    probabilities, offsets = RefineNet(CountingSession(4, 2))(numbered(3, 24))
    assert probabilities.tolist() == [1000, 1001, 1002]
    assert offsets[2].tolist() == [2, 1002, 2002, 3002]


def test_five_x_and_five_y_of_o_net_become_five_points() -> None:
    _, _, landmarks = OutputNet(CountingSession(4, 10, 2))(numbered(1, 48))
    assert landmarks.tolist() == [[[0, 5000], [1000, 6000], [2000, 7000], [3000, 8000], [4000, 9000]]]


def test_many_crops_are_run_in_batches_and_returned_in_order() -> None:
    session = CountingSession(4, 2)
    count = 2 * REFINE_BATCH + 1
    probabilities, offsets = RefineNet(session)(numbered(count, 1))
    assert session.batches == [REFINE_BATCH, REFINE_BATCH, 1]
    assert np.array_equal(probabilities, 1000 + np.arange(count))
    assert offsets.shape == (count, 4)


def test_the_networks_give_the_same_for_a_crop_alone_and_in_a_batch(
    nets: tuple[ProposalNet, RefineNet, OutputNet],
) -> None:
    crops = np.random.default_rng(5).integers(0, 256, (2 * OUTPUT_BATCH + 1, 48, 48, CHANNELS)).astype(np.float32)
    _, _, onet = nets
    together, alone = onet(crops), [onet(crops[index : index + 1]) for index in range(len(crops))]
    for output, parts in zip(together, zip(*alone, strict=True), strict=True):
        np.testing.assert_allclose(output, np.concatenate(parts), atol=1e-5)
