"""A change of the model's files does not affect a running service, and stops one that starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.answers import verification
from tests.support.api import Api
from tests.support.lengths import FULL
from tests.support.photos import COLLINS, COLLINS_AGAIN, HOPPER
from tests.support.server import Server

from .other_model import EMBEDDER, copied_models

DETECTOR = Path("mtcnn") / "rnet.onnx"


def replace(network: Path) -> None:
    """Replace it by another file of the same name, as a deployment does."""
    other = network.with_suffix(".new")
    other.write_bytes(network.read_bytes()[:-1] + b"\0")
    other.rename(network)


def overwrite(network: Path) -> None:
    """Write into the file: a process that has mapped it into memory would now read this."""
    network.write_bytes(b"\xff" * network.stat().st_size)


def truncate(network: Path) -> None:
    with network.open("r+b") as file:
        file.truncate(100)


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "replaced": (replace, "manifest"),
    "overwritten": (overwrite, "manifest"),
    "truncated": (truncate, "manifest"),
    "deleted": (Path.unlink, "onnx"),
}
EACH_ON_BOTH = [(fault, network) for fault in FAULTS for network in (EMBEDDER, DETECTOR)]
EACH_ONCE = list(zip(FAULTS, (EMBEDDER, DETECTOR, EMBEDDER, DETECTOR), strict=True))


@pytest.mark.parametrize(("fault", "network"), EACH_ON_BOTH if FULL else EACH_ONCE, ids=str)
def test_a_running_service_answers_as_before_and_the_next_start_refuses(
    tmp_path: Path, fault: str, network: Path
) -> None:
    models = copied_models(tmp_path)
    spoil, word = FAULTS[fault]
    server = Server(tmp_path / "data", LIKENESS_MODELS_DIR=str(models))
    with server, Api.of(server) as api:
        before = distances(api)
        spoil(models / network)
        assert distances(api) == before
    words = server.refused()
    assert word in words
    assert network.name in words


def distances(api: Api) -> list[float]:
    pairs = [(COLLINS, COLLINS_AGAIN), (COLLINS, HOPPER)]
    return [verification(api.verify(*pair))["distance"] for pair in pairs]
