"""OpenVINO for tests: installed beside the environment by `make .venv/.openvino`, so that nothing else chooses it."""

import importlib.util
import sys
from types import ModuleType

import pytest

from app.inference import openvino_session
from tests.support.server import REPOSITORY

FOLDER = REPOSITORY / ".venv" / "openvino"
_loaded: dict[str, ModuleType] = {}


def require() -> None:
    """Skip the test, with its reason, where OpenVINO is not installed."""
    if not FOLDER.is_dir() and importlib.util.find_spec("openvino") is None:
        pytest.skip("no OpenVINO here: `make .venv/.openvino` installs it")


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make OpenVINO importable in this test. It cannot be loaded twice, so its module is kept for the next one."""
    require()
    monkeypatch.syspath_prepend(str(FOLDER))
    if "openvino" not in _loaded:
        openvino_session.version()  # imports it
        _loaded["openvino"] = sys.modules.pop("openvino")
    monkeypatch.setitem(sys.modules, "openvino", _loaded["openvino"])
