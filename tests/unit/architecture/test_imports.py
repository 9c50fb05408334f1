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
    """The modules that a fresh process has loaded once it imported `module`."""
    code = f"import sys, {module}; print(*sys.modules)"
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


@pytest.mark.slow
@pytest.mark.parametrize("module", ["app.cli", "app.main"])
def test_the_service_starts_without_what_only_training_or_an_option_needs(module: str) -> None:
    spared = {"torch", "training", "matplotlib", "scipy", "onnx", "pymilvus", "grpc", "opentelemetry.sdk"}
    assert loaded_by(module).isdisjoint(spared)


@pytest.mark.slow
def test_the_domain_needs_the_standard_library_and_numpy_alone() -> None:
    packages = {name.partition(".")[0] for name in loaded_by("app.domain.ports") - loaded_by("numpy")}

    assert packages - sys.stdlib_module_names == {"app", "numpy"}
