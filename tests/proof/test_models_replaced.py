"""What happens to the model's files does not reach a service that runs, and stops one that starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.end_to_end.contract import verification
from tests.end_to_end.server import Server

from .lengths import FULL
from .opening import client
from .other_model import EMBEDDER, copied_models
from .photos import COLLINS, COLLINS_AGAIN, HOPPER

DETECTOR = Path("mtcnn") / "rnet.onnx"


def replace(network: Path) -> None:
    """By another file under the same name, as a deployment does."""
    other = network.with_suffix(".new")
    other.write_bytes(network.read_bytes()[:-1] + b"\0")
    other.rename(network)


def overwrite(network: Path) -> None:
    """In place: whoever had the file mapped into memory would now read this."""
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
def test_a_running_service_answers_as_before_and_the_next_start_refuses(tmp_path, fault, network):
    models = copied_models(tmp_path)
    spoil, word = FAULTS[fault]
    server = Server(tmp_path / "data", LIKENESS_MODELS_DIR=str(models))
    with server, client(server) as likeness:
        before = answers(likeness)
        spoil(models / network)
        assert answers(likeness) == before
    status, words = server.fail_to_start()
    assert status == 2
    assert word in words
    assert network.name in words
    assert "Traceback" not in words


def answers(likeness):
    pairs = [(COLLINS, COLLINS_AGAIN), (COLLINS, HOPPER)]
    return [verification(likeness.verify(*pair))["distance"] for pair in pairs]
