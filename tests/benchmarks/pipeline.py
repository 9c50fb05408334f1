"""A `/verify` of two 1024x768 photos over HTTP, against facenet-pytorch's pipeline, on one core."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from torch import nn

from tests.benchmarks import photos
from tests.benchmarks.cores import one_core
from tests.benchmarks.detect import MODELS
from tests.benchmarks.measure import Contestant, Effort, race
from tests.benchmarks.peers import Pipeline
from tests.benchmarks.report import Row, Target, at_least, versus
from tests.benchmarks.served import Client, Served, verify
from tests.support.published import random_inception_resnet, saved
from training.export import import_facenet

PEOPLE = 8631  # that the published network tells apart
SAME_SETTINGS = {"LIKENESS_MIN_FACE": "20"}
SAME_SPEEDUP, DEFAULT_SPEEDUP = 3.0, 12.0
EIGHT_BITS = "mobilefacenet-128-int8"
PEER = "facenet-pytorch"
NOTE = (
    "bytes to distance. The peer is MTCNN (min_face 20) and Inception-ResNet-v1 (random weights), torch eager on one "
    "thread, both faces in one batch; ours counts the CPU of server and client. With the same network and settings "
    "both give the same distance, to two per cent, or the row fails."
)


class OtherDistance(Exception):
    """The two pipelines do not compute the same thing."""


def rows(effort: Effort) -> Iterator[Row]:
    network = random_inception_resnet(PEOPLE)
    pipeline = Pipeline(network)
    with one_core(), tempfile.TemporaryDirectory() as folder:
        models = served_models(network, Path(folder))
        same = Served(Path(folder), LIKENESS_MODELS_DIR=str(models), LIKENESS_MODEL="facenet", **SAME_SETTINGS)
        with same as served:
            with closing(served.client(verify(photos.pair()))) as client:
                check_distance(client, pipeline)
            yield speed("same settings and network", served, pipeline, at_least(SAME_SPEEDUP), effort)
        with Served(Path(folder)) as served:
            yield speed("service defaults, default model", served, pipeline, at_least(DEFAULT_SPEEDUP), effort)
        with Served(Path(folder), LIKENESS_MODEL=EIGHT_BITS) as served:
            yield speed(f"service defaults, {EIGHT_BITS}", served, pipeline, None, effort)
        if find_spec("openvino"):  # an extra
            with Served(Path(folder), provider="openvino") as served:
                yield speed("service defaults, OpenVINO", served, pipeline, at_least(DEFAULT_SPEEDUP), effort)


def served_models(network: nn.Module, folder: Path) -> Path:
    """A folder of models with facenet-pytorch's network in it, as anyone would import it."""
    models = folder / "models"
    models.mkdir()
    (models / "mtcnn").symlink_to(MODELS / "mtcnn")
    import_facenet.run("vggface2", models / "facenet", saved(network, folder / "weights.pt"))
    return models


def check_distance(client: Client, pipeline: Pipeline) -> None:
    """Raises OtherDistance."""
    got, wanted = json.loads(client.must().body)["distance"], pipeline.distance(*photos.pair())
    if abs(got - wanted) > 0.02 * wanted:
        raise OtherDistance(f"ours is {got:.4f}, facenet-pytorch's {wanted:.4f}")


def speed(case: str, served: Served, pipeline: Pipeline, target: Target | None, effort: Effort) -> Row:
    with closing(served.client(verify(photos.pair()))) as client:
        theirs = Contestant(partial(pipeline.distance, *photos.pair()))
        laps = race({"ours": Contestant(client.must, cpu_with(served)), PEER: theirs}, effort.pace)
    return versus("/verify", case, laps, PEER, target=target, note=NOTE)


def cpu_with(served: Served) -> Callable[[], float]:
    """Count the CPU time of the server and of this process, which is its client."""
    return lambda: served.cpu() + time.process_time()
