"""
Training on a GPU in each way that makes it faster or smaller, and the exported model on it: `make test-gpu`.

Without a GPU the same runs on the CPU, and what needs CUDA is skipped with the reason.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.inference.onnx_session import Session
from tests.unit.training.engine.test_distributed import run_by_two
from tests.unit.training.support import changed, weights
from training.config.schema import TrainConfig
from training.engine import trainer
from training.export.onnx import export_model
from training.networks.embedder import Embedder
from training.networks.registry import build
from training.networks.weights import load_state

GPUS = torch.cuda.device_count()
DEVICE = "cuda" if GPUS else "cpu"
needs_cuda = pytest.mark.skipif(not GPUS, reason="expected a GPU with CUDA, got none")
slow = pytest.mark.slow


@pytest.fixture
def small(config: TrainConfig) -> TrainConfig:
    """Six steps of a network with blocks and updated BatchNorm, from random weights, on the GPU if there is one."""
    config = changed(changed(config, "loss", distillation_weight=0), "run", device=DEVICE)
    return changed(config, "network", name="small_resnet", weights=None, batch_norm="updated")


def loss(config: TrainConfig, folder: Path) -> float:
    trained = weights(trainer.train(config, folder, resume=False))
    assert all(torch.isfinite(part).all() for part in trained.values())
    return float(json.loads((folder / "run.json").read_text())["final_metrics"]["loss"])


@slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # in PyTorch's own compiler
@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({}, 1e-3),
        ({"workers": "processes"}, 1e-3),
        ({"gradient_checkpointing": True}, 1e-3),
        pytest.param({"compile": True}, 1e-3, marks=needs_cuda),  # takes minutes on a CPU
        ({"tf32": True}, 2e-2),
        ({"precision": "bfloat16"}, 5e-2),
        pytest.param({"precision": "float16", "tf32": True, "compile": True}, 5e-2, marks=needs_cuda),
    ],
)
def test_a_run_ends_with_the_loss_of_float32_on_the_cpu(
    small: TrainConfig, tmp_path: Path, options: dict[str, Any], tolerance: float
) -> None:
    expected = loss(changed(small, "run", device="cpu"), tmp_path / "cpu")
    got = loss(changed(small, "run", **options), tmp_path / "run")
    assert got == pytest.approx(expected, rel=tolerance)
    assert got != expected or "precision" not in options


@slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(GPUS < 2, reason=f"expected two GPUs for NCCL, got {GPUS}; test_distributed.py runs two CPUs")
def test_two_gpus_end_with_the_weights_of_one(config: TrainConfig, tmp_path: Path) -> None:
    config = changed(changed(config, "batch", people=4), "run", device="cuda")
    alone = weights(trainer.train(config, tmp_path / "alone", resume=False))
    run_by_two({"two": config}, tmp_path)
    together = weights(tmp_path / "two" / "network.pt")
    for name, value in together.items():
        torch.testing.assert_close(value, alone[name], atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("provider", ["cpu", pytest.param("cuda", marks=needs_cuda)])
def test_the_exported_model_gives_the_vectors_of_the_run_on_each_provider(
    small: TrainConfig, tmp_path: Path, provider: Any
) -> None:
    trainer.train(changed(small, "optimizer", steps=2), tmp_path / "run", resume=False)
    export_model(tmp_path / "run", tmp_path / "model", license_="none", views="crop")
    network = build("small_resnet", small.network.embedding_size)
    load_state(network, tmp_path / "run" / "network.pt")
    crops = np.random.default_rng(1).integers(0, 256, (5, 112, 112, 3), np.uint8)
    with torch.inference_mode():
        expected = Embedder(network).eval().to(DEVICE)(torch.from_numpy(crops).to(DEVICE)).cpu().numpy()
    (got,) = Session((tmp_path / "model" / "embedder.onnx").read_bytes(), provider=provider).run(crops)
    np.testing.assert_allclose(got, expected, atol=1e-5 if DEVICE == "cpu" else 5e-3)  # ONNX Runtime uses TF32


def test_weights_stay_channels_last_on_the_device() -> None:
    network = build("small_resnet", 8).to(DEVICE)
    convolution = network.get_parameter("blocks.0.second.0.weight")
    assert convolution.is_contiguous(memory_format=torch.channels_last)
    assert not convolution.is_contiguous()
