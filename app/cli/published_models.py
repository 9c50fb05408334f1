"""Make a served model of a published file: fetch it, check it, and let `training` wrap it in a process of its own."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, TimeRemainingColumn

import app
from app.cli.download import check_file, download
from app.cli.model_catalog import KnownModel
from app.cli.output import CommandError
from app.cli.progress import progress_bar

PACKAGES = Path(app.__file__).parents[1]
"""The directory with `app`, and with `training` where it is installed."""
WRAP = "training.export.import_published"


def require_packages(model: KnownModel, models_dir: Path) -> None:
    """Raises CommandError that names the cure if this installation cannot wrap the model."""
    elsewhere = f"or pull it where they are, and copy the folder {model.name} to {models_dir}"
    if not (PACKAGES / "training").is_dir():
        raise CommandError(
            f"{model.name} is wrapped by the package `training`, which is not installed here; {elsewhere}"
        )
    missing = [package for package in model.network.packages if find_spec(package) is None]
    if missing:
        extra = model.network.packages[missing[0]]
        raise CommandError(
            f"{model.name} needs {' and '.join(missing)} to be wrapped, not to be served: "
            f"pip install 'likeness[{extra}]', {elsewhere}"
        )


def make_model(model: KnownModel, models_dir: Path, mirror: str | None, file: Path | None) -> None:
    """Write the folder `models_dir`/NAME, which exists only once it is complete. Raises CommandError."""
    with _work_folder(models_dir, model.name) as folder:
        source = folder / model.file
        if file:
            _copy(file, source, model)
        else:
            _fetch(model, mirror, source)
        _wrap(model, source, folder / model.name)
        (folder / model.name).rename(models_dir / model.name)


@contextmanager
def _work_folder(models_dir: Path, name: str) -> Iterator[Path]:
    """Open a hidden folder that does not outlive the command; what a killed command left there is removed first."""
    folder = models_dir / f".pull-{name}"
    try:
        folder.mkdir(exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise CommandError(
            f"cannot write to {models_dir}: {error.strerror}; set LIKENESS_MODELS_DIR to a copy of it that you own"
        ) from error
    try:
        _lock(lock, name)
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield folder
        shutil.rmtree(folder)
    except BaseException as error:
        if not isinstance(error, _Busy):
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        os.close(lock)


class _Busy(CommandError):
    """Another command pulls the same model."""


def _lock(folder: int, name: str) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _Busy(f"another command is pulling {name}") from None


def _copy(file: Path, target: Path, model: KnownModel) -> None:
    shutil.copyfile(file, target)
    check_file(target, str(file), model.sha256)


def _fetch(model: KnownModel, mirror: str | None, target: Path) -> None:
    with progress_bar(BarColumn(), DownloadColumn(), TimeRemainingColumn()) as progress, target.open("wb") as out:
        bar = progress.add_task(f"fetching {model.name}", total=model.bytes)
        download(
            model.address(mirror),
            out,
            sha256=model.sha256,
            size=model.bytes,
            on_progress=lambda received, total: progress.update(bar, completed=received, total=total),
        )


def _wrap(model: KnownModel, file: Path, output: Path) -> None:
    job = {
        "file": str(file),
        "output": str(output),
        "license": model.license,
        "origin": f"{model.summary}; {model.url}",
        "network": model.network.model_dump(),
    }
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-P", "-m", WRAP],
        input=json.dumps(job),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(PACKAGES), os.environ.get("PYTHONPATH")]))},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise CommandError(f"{model.name} cannot be wrapped: {said.removeprefix('error: ')}")
