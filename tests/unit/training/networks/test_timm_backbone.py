"""timm's networks by name, and the error without timm."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from training.errors import TrainingError
from training.export.onnx import check_parity, embedder_graph
from training.networks.embedder import Embedder
from training.networks.registry import build, crop_size_of

with_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="the extra `timm` is not installed")


@with_timm
@pytest.mark.parametrize(
    ("name", "size", "mean"),
    [
        ("timm:mobilenetv2_100", 224, (123.675, 116.28, 103.53)),
        ("timm:inception_v3", 299, (127.5, 127.5, 127.5)),
        ("timm:mobilenetv2_100@112", 112, (123.675, 116.28, 103.53)),
    ],
)
def test_a_backbone_has_timms_size_and_scale_unless_another_size_is_named(name: str, size: int, mean: Any) -> None:
    with torch.device("meta"):
        network = build(name, 64)
        vectors = network(torch.zeros(2, 3, size, size))
    assert (network.crop_size, vectors.shape) == (size, (2, 64))
    assert crop_size_of(name) == size
    assert network.mean == pytest.approx(mean)


@pytest.mark.slow
@with_timm
def test_a_backbone_is_exported_like_any_network() -> None:
    torch.manual_seed(0)
    embedder = Embedder(build("timm:mobilenetv2_100@64", 32)).eval()
    assert check_parity(embedder, embedder_graph(embedder)) <= 1e-5


@with_timm
@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("timm:mobilenetv2_10", "timm has no network 'mobilenetv2_10'; similar names: .*mobilenetv2_100"),
        (
            "timm:mobilenetv2_100@large",
            "expected timm:NAME@SIZE with a size from 16 to 1024, got 'timm:mobilenetv2_100@large'",
        ),
    ],
)
def test_a_name_that_timm_does_not_have_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(TrainingError, match=complaint):
        build(name)


def test_a_timm_that_does_not_load_is_told_from_a_missing_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm.py").write_text("raise ImportError('expected another torch')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    with pytest.raises(TrainingError, match="timm is installed but does not load: expected another torch"):
        build("timm:mobilenetv2_100")


def test_without_timm_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(TrainingError, match=r"timm is not installed: pip install 'likeness\[timm\]'"):
        build("timm:mobilenetv2_100")
