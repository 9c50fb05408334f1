"""The import contracts of pyproject.toml are kept, and their effect at run time."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

REPOSITORY = Path(__file__).resolve().parents[3]


def loaded_by(module: str) -> set[str]:
    """The top-level packages that a fresh process has loaded once it imported `module`."""
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.fixture
def other_loggers_kept() -> Iterator[None]:
    """import-linter configures logging, and disables every logger that is not its own."""
    before = {name: logging.getLogger(name).disabled for name in list(logging.root.manager.loggerDict)}
    yield
    for name, disabled in before.items():
        logging.getLogger(name).disabled = disabled


@pytest.mark.usefixtures("other_loggers_kept")
def test_every_import_contract_is_kept() -> None:
    assert lint_imports(config_filename=str(REPOSITORY / "pyproject.toml"), no_cache=True) == 0


@pytest.mark.parametrize("module", ["app.cli", "app.main"])
def test_the_service_starts_without_torch(module: str) -> None:
    assert loaded_by(module).isdisjoint({"torch", "training", "matplotlib", "scipy", "onnx", "pymilvus", "grpc"})


def test_the_domain_needs_the_standard_library_and_numpy_alone() -> None:
    third_party = loaded_by("app.domain.ports") - loaded_by("numpy") - sys.stdlib_module_names

    assert third_party == {"app"}
