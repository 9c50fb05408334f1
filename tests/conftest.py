"""Two public-domain people, the real detector, and the photos that not every machine has."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import skimage.data
from hypothesis import settings
from PIL import Image

from app.domain.models import Pixels, read_only
from app.faces.detector.mtcnn import Mtcnn
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet
from app.inference.manifest import ModelFile, read_checked, read_detector
from app.inference.onnx_session import Session
from app.storage import sqlite
from tests.support.gate import Gate

REPOSITORY = Path(__file__).resolve().parents[1]

settings.register_profile("unhurried", deadline=None)  # the machine may be busy training
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def quick_disk() -> Iterator[None]:
    """No fsync: nobody pulls the plug of this process (runtime/test_database.py sees that it is there otherwise)."""
    pragmas = [pragma.replace("synchronous=FULL", "synchronous=OFF") for pragma in sqlite._PRAGMAS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "_PRAGMAS", pragmas)
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def models_dir() -> Path:
    return REPOSITORY / "models"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Photos of real people, which are no part of the repository."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no {path}: the real photos are not part of the repository")
    return path


@pytest.fixture(scope="session")
def hopper() -> Pixels:
    """Grace Hopper, (600, 512, 3)."""
    with Image.open(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg") as photo:
        return read_only(np.asarray(photo.convert("RGB")))


@pytest.fixture(scope="session")
def collins() -> Pixels:
    """Eileen Collins, (512, 512, 3)."""
    return read_only(skimage.data.astronaut())


@pytest.fixture(scope="session")
def nets(models_dir: Path) -> tuple[ProposalNet, RefineNet, OutputNet]:
    folder = models_dir / "mtcnn"
    manifest = read_detector(folder)

    def session(file: ModelFile) -> Session:
        return Session(read_checked(folder, file), provider="cpu")

    return ProposalNet(session(manifest.pnet)), RefineNet(session(manifest.rnet)), OutputNet(session(manifest.onet))


@pytest.fixture(scope="session")
def detector(nets: tuple[ProposalNet, RefineNet, OutputNet]) -> Mtcnn:
    """The detector as it is served, on the CPU."""
    return Mtcnn(*nets)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()
