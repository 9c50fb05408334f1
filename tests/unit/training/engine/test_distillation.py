import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.unit.training.conftest import TinyNetwork
from tests.unit.training.support import changed
from training.config.schema import TrainConfig
from training.data.crops import CROPS_112
from training.data.dataset import FaceSet, read_crop, read_faces
from training.engine import distillation, trainer
from training.export import onnx
from training.networks.embedder import Embedder
from training.networks.registry import NETWORKS, build
from training.networks.weights import UnusableWeights, load_state


def test_a_target_averages_the_clean_crop_with_its_mirror_image(people: Path, tiny: Path) -> None:
    network, faces = build("tiny", 8), read_faces([people])
    load_state(network, tiny)
    targets = distillation.teacher_targets(distillation.network_teacher(network), faces, people / "teacher.pt", 8)
    crop = torch.from_numpy(CROPS_112.center(read_crop(faces.paths[7])))[None]
    embedder = Embedder(network).eval()
    expected = functional.normalize(embedder(crop) + embedder(crop.flip(2)))
    torch.testing.assert_close(targets[7:8], expected)
    assert targets.shape == (18, 8)


@pytest.mark.usefixtures("tiny")
def test_targets_are_cached_for_a_network(faces: FaceSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    same, other = (distillation.network_teacher(build("tiny", 8)) for _ in range(2))
    first = distillation.teacher_targets(same, faces, tmp_path / "teacher.pt", 8)
    replaced = distillation.teacher_targets(other, faces, tmp_path / "teacher.pt", 8)
    assert not torch.equal(replaced, first)
    monkeypatch.setattr(distillation, "_embed", lambda *_: pytest.fail("computed again"))
    assert torch.equal(distillation.teacher_targets(other, faces, tmp_path / "teacher.pt", 8), replaced)


def test_another_teacher(config: TrainConfig, people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(TinyNetwork):
        mean = (0.0, 0.0, 0.0)

    monkeypatch.setitem(NETWORKS, "other", Other)
    other, faces = build("other", 8), read_faces([people])
    torch.save(other.state_dict(), tmp_path / "other.pt")
    config = changed(config, "teacher", network="other", weights=str(tmp_path / "other.pt"), views="crop")

    targets = distillation.teacher_targets(
        distillation.build_teacher(config, build("tiny", 8)), faces, tmp_path / "teacher.pt", 8
    )

    crops = torch.from_numpy(np.stack([CROPS_112.center(read_crop(path)) for path in faces.paths]))
    torch.testing.assert_close(targets, Embedder(other).eval()(crops).detach(), atol=1e-5, rtol=0)


def test_the_teacher_may_be_a_served_model(config: TrainConfig, people: Path, tmp_path: Path, tiny: Path) -> None:
    onnx.export_model(tiny, tmp_path / "served", network="tiny", embedding_size=8, views="crop", license_="none")
    served = distillation.build_teacher(changed(config, "teacher", weights=str(tmp_path / "served")), build("tiny", 8))
    network, faces = build("tiny", 8), read_faces([people])
    load_state(network, tiny)
    by_graph = distillation.teacher_targets(served, faces, tmp_path / "graph.pt", 8)
    by_network = distillation.teacher_targets(distillation.network_teacher(network), faces, tmp_path / "network.pt", 8)
    torch.testing.assert_close(by_graph, by_network, atol=1e-5, rtol=0)


def test_rotated_targets_keep_their_distances_and_lie_near_the_starting_vectors() -> None:
    random = torch.Generator().manual_seed(4)
    start = functional.normalize(torch.randn(40, 8, generator=random))
    rotation, _ = torch.linalg.qr(torch.randn(8, 8, generator=random))
    targets = functional.normalize(start @ rotation + 0.1 * torch.randn(40, 8, generator=random))
    rotated = distillation.rotated_targets(targets, start, 0)
    torch.testing.assert_close(rotated @ rotated.T, targets @ targets.T, atol=1e-5, rtol=0)
    assert (rotated * start).sum(1).min() > 0.85 > (targets * start).sum(1).max()
    average = functional.normalize(0.25 * rotated + 0.75 * start)
    torch.testing.assert_close(distillation.rotated_targets(targets, start, 0.75), average, atol=1e-5, rtol=0)


def test_a_teacher_of_another_dimension_is_refused(people: Path, tmp_path: Path) -> None:
    tutor = distillation.network_teacher(TinyNetwork(6))
    with pytest.raises(UnusableWeights, match="expected a teacher with vectors of 8 numbers, got 6"):
        distillation.teacher_targets(tutor, read_faces([people]), tmp_path / "teacher.pt", 8)


@pytest.mark.slow
def test_the_cosines_of_a_served_model_of_another_dimension_are_learned(config: TrainConfig, tmp_path: Path) -> None:
    torch.manual_seed(8)
    torch.save(TinyNetwork(6).state_dict(), tmp_path / "six.pt")
    served = tmp_path / "served"
    onnx.export_model(tmp_path / "six.pt", served, network="tiny", embedding_size=6, views="crop", license_="none")
    config = changed(config, "loss", kind="distillation", miner="none", distillation_weight=0, relational_weight=5)
    config = changed(changed(config, "teacher", weights=str(served)), "optimizer", lr=0.05, steps=60, warmup_steps=0)

    def relations(steps: int) -> float:
        output = trainer.train(changed(config, "optimizer", steps=steps), tmp_path / str(steps), resume=False).parent
        return float(json.loads((output / "run.json").read_text())["final_metrics"]["relations"])

    assert relations(60) < 0.7 * relations(1)


def test_a_served_model_that_aligns_in_another_way_is_no_teacher(tmp_path: Path, tiny: Path) -> None:
    onnx.export_model(tiny, tmp_path / "served", network="tiny", embedding_size=8, views="crop", license_="none")
    manifest = tmp_path / "served" / "manifest.json"
    values = json.loads(manifest.read_text(encoding="utf-8"))
    values["alignment"] = {"kind": "box", "margin": 14}
    manifest.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(UnusableWeights, match=r"teacher\.weights: .*served aligns faces in another way"):
        distillation.served_model_teacher(tmp_path / "served")
