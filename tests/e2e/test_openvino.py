"""The service runs its embedder on OpenVINO with the answers of ONNX Runtime, and looks no host up."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.test_no_phoning_home import NOTHING, SERVE, files_in, home, watched  # noqa: F401 (a fixture)
from tests.support import openvino
from tests.support.answers import answered
from tests.support.api import Api
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN
from tests.support.server import REPOSITORY, Server

TOLERANCE = 0.02
"""By which a distance may differ between the providers; over 1,000 pairs of faces it was at most 0.01."""


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino.require()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(openvino.FOLDER), os.environ.get("PYTHONPATH", "")]))


def test_one_gallery_serves_both_providers(
    start_server: Callable[..., Server], connect: Callable[[Server], Api]
) -> None:
    onnx = connect(start_server(LIKENESS_PROVIDER="cpu"))
    other = connect(start_server(LIKENESS_PROVIDER="openvino"))
    providers = [[model["provider"] for model in answered(api.http.get("/models"))["models"]] for api in (onnx, other)]
    assert providers == [["cpu", "cpu"], ["openvino", "cpu"]]
    for second in (HOPPER_AGAIN, COLLINS):
        distances = [answered(api.verify(HOPPER, second))["distance"] for api in (onnx, other)]
        assert distances[0] == pytest.approx(distances[1], abs=TOLERANCE)
    answered(onnx.enroll("staff", "hopper", HOPPER), 201)
    answered(other.enroll("staff", "collins", COLLINS), 201)
    for api in (onnx, other):
        assert [api.names(photo, "staff") for photo in (HOPPER_AGAIN, COLLINS)] == [["hopper"], ["collins"]]


def test_nothing_goes_outside(home: Path) -> None:  # noqa: F811
    path = os.pathsep.join([str(REPOSITORY), str(openvino.FOLDER)])
    seen = watched([sys.executable, "-c", SERVE], home, PYTHONPATH=path, LIKENESS_PROVIDER="openvino")
    assert seen == NOTHING
    assert files_in(home) == []
