from pathlib import Path

import pytest
import torch

from training import teacher
from training.augmentation import centre
from training.data import read_crop, read_faces
from training.networks import Embedder, build, load_state


def test_a_target_is_the_vector_of_the_clean_crop_averaged_with_its_mirror_image(people: Path, tiny: Path) -> None:
    network, faces = build("tiny", 8), read_faces([people])
    load_state(network, tiny)

    targets = teacher.targets(teacher.of_network(network), faces, people / "teacher.pt", 8)

    crop = torch.from_numpy(centre(read_crop(faces.paths[7])))[None]
    embedder = Embedder(network).eval()
    expected = torch.nn.functional.normalize(embedder(crop) + embedder(crop.flip(2)))
    torch.testing.assert_close(targets[7:8], expected)
    assert targets.shape == (18, 8)


@pytest.mark.usefixtures("tiny")
def test_targets_are_made_once(people: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network, faces = build("tiny", 8), read_faces([people])
    first = teacher.targets(teacher.of_network(network), faces, people / "teacher.pt", 8)
    monkeypatch.setattr(teacher, "_embed", lambda *_: pytest.fail("made again"))

    assert torch.equal(teacher.targets(teacher.of_network(network), faces, people / "teacher.pt", 8), first)


@pytest.mark.usefixtures("tiny")
def test_targets_of_another_network_are_not_reused(people: Path) -> None:
    faces, cache = read_faces([people]), people / "teacher.pt"
    first = teacher.targets(teacher.of_network(build("tiny", 8)), faces, cache, 8)

    assert not torch.equal(teacher.targets(teacher.of_network(build("tiny", 8)), faces, cache, 8), first)
