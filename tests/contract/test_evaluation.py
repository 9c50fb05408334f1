"""`python -m training evaluate` measures the vectors that the service gives."""

from pathlib import Path

import numpy as np
import pytest

from tests.support.answers import answered
from tests.support.api import Api
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, collins, hopper, jpeg, scaled, side_by_side
from training.pipeline.detection_cache import FaceFinder, embed_faces
from training.pipeline.served_model import ServedModel

MODEL = "mobilefacenet-128"
PHOTOS = [
    COLLINS,
    HOPPER,
    HOPPER_AGAIN,
    jpeg(scaled(collins(), 0.3)),
    jpeg(scaled(hopper(), 0.2)),
    jpeg(side_by_side(hopper(), collins())),
    jpeg(collins().crop((180, 60, 512, 300))),
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    for number, data in enumerate(PHOTOS):
        (folder / f"{number}.jpg").write_bytes(data)
    return sorted(folder.iterdir())


def test_evaluate_uses_the_very_vectors_that_embed_answers(api: Api, photos: list[Path], models_dir: Path) -> None:
    detected = FaceFinder(models_dir).find_all(photos, "detect")
    measured, inside = embed_faces(ServedModel.open(models_dir / MODEL), detected)
    faces = [result["faces"][0] for result in answered(api.embed(*[path.read_bytes() for path in photos]))["results"]]

    assert detected.found.all()
    served = np.array([face["embedding"] for face in faces], np.float32)
    assert (served == measured.vectors).all()
    assert [face["quality"]["inside"] for face in faces] == [round(float(share), 4) for share in inside]
