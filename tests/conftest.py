"""Fixtures that several tiers share; the marker and the timeout of each tier."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import skimage.data
from hypothesis import settings
from PIL import Image

from app.domain.arrays import Pixels, read_only
from app.faces.detector.mtcnn import Mtcnn
from app.faces.detector.nets import OutputNet, ProposalNet, RefineNet
from app.inference.manifest import ModelFile, read_checked, read_detector
from app.inference.onnx_session import Session
from app.storage import reserve, sqlite_file
from tests.support.gate import Gate
from tests.support.postgres import PostgresServer, running_server

pytest_plugins = ["tests.support.hang_guard"]
TESTS = Path(__file__).resolve().parent
REPOSITORY = TESTS.parent
TIERS = {"unit": 120, "contract": 120, "e2e": 300, "proof": 900, "docker": 1800, "benchmarks": 600, "browser": 300}
"""Seconds after which a test is ended. They are far above what a test takes, so that a busy machine fails none."""
MARKERS = {"e2e": "e2e", "benchmarks": "e2e", "proof": "proof", "docker": "docker", "browser": "browser"}
SERVERS = {"postgres_server", "milvus", "nginx"}
"""Fixtures that start another program's server: their tests are slow ones."""

settings.register_profile("unhurried", deadline=None)  # the machine may be busy training
settings.load_profile("unhurried")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    is_chosen = config.getoption("timeout", None) is not None
    for item in items:
        tier = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if tier in MARKERS:
            item.add_marker(MARKERS[tier])
        if SERVERS.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)
        if tier in TIERS and not (is_chosen or item.get_closest_marker("timeout")):
            item.add_marker(pytest.mark.timeout(TIERS[tier]))


@pytest.fixture(scope="session", autouse=True)
def quick_disk() -> Iterator[None]:
    """Do without fsync, because no power is lost here (storage/test_sqlite.py checks that fsync is on otherwise)."""
    pragmas = [pragma.replace("synchronous=FULL", "synchronous=OFF") for pragma in sqlite_file._PRAGMAS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite_file, "_PRAGMAS", pragmas)
        patch.setattr(reserve, "MAX_BYTES", 2**16)  # pytest keeps the folders of many tests
        yield


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server; each database that a test takes from it is new."""
    with running_server() as server:
        yield server


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
