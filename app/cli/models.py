"""`likeness models list|pull|use`: the embedders in the models directory, public ones to add, and which one serves."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import dotenv
import typer

from app.bootstrap.storage import GALLERY_FILE, open_repository
from app.cli.installed_models import InstalledModel, installed_models
from app.cli.model_catalog import KnownModel, known_models
from app.cli.output import SUCCESS, AsJson, CommandError, Result, run
from app.cli.published_models import make_model, require_packages
from app.cli.tables import short_digest, table
from app.domain.errors import LikenessError
from app.gallery.records import GalleryInfo
from app.settings import CHOICES_FILE, Settings

commands = typer.Typer(no_args_is_help=True, help="List the models, fetch public ones, and choose the one that serves.")
VARIABLE = "LIKENESS_MODEL"
UNCALIBRATED = "uncalibrated"


def _installed_names() -> list[str]:
    return [model.id for model in installed_models(Settings().models_dir)]


def _known_names() -> list[str]:
    return list(known_models())


@commands.command("list")
def list_(as_json: AsJson = False) -> None:  # noqa: FBT002
    """List the models that are here and those that can be pulled. The star marks the one in use."""

    async def work(settings: Settings) -> Result:
        models = installed_models(settings.models_dir)
        here = {model.id for model in models}
        available = [model for model in known_models().values() if model.name not in here]
        document = {
            "models_dir": str(settings.models_dir),
            "models": [{**model.document(), "in_use": model.id == settings.model} for model in models],
            "available": [_document(model) for model in available],
        }
        return SUCCESS, document, "\n".join(_lines(models, available, settings))

    run(as_json, work)


@commands.command()
def pull(
    name: Annotated[str, typer.Argument(help="A name from `likeness models list`.", autocompletion=_known_names)],
    accept_license: Annotated[bool, typer.Option("--accept-license", help="Accept the license unasked.")] = False,  # noqa: FBT002
    mirror: Annotated[
        str | None, typer.Option(help="A site that has the files at the same paths, instead of their own.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The published file, fetched on another machine.")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Fetch a public model, check its digest, and make a model folder of it. It is uncalibrated."""

    async def work(settings: Settings) -> Result:
        model, target = _known(name), settings.models_dir / name
        if target.exists():
            return SUCCESS, {"model": name, "path": str(target), "pulled": False}, f"{target} is there already"
        require_packages(model, settings.models_dir)
        if not accept_license:
            _ask_for_license(model, as_json=as_json)
        make_model(model, settings.models_dir, mirror or settings.models_mirror, file)
        document = {"model": name, "path": str(target), "pulled": True, "license": model.license, "calibrated_on": None}
        text = (
            f"{target} is made. It is uncalibrated: answers use the threshold 1.1 and tell no error rates until\n"
            f"  python -m training calibrate --model {name} --images YOUR_PHOTOS --name YOUR_DATA\n"
            f"has measured them. To serve it: likeness models use {name}"
        )
        return SUCCESS, document, text

    run(as_json, work)


@commands.command()
def use(
    name: Annotated[str, typer.Argument(help="A model that is here.", autocompletion=_installed_names)],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Serve this model in the current directory, from the next start on. Tells which galleries are of another."""

    async def work(settings: Settings) -> Result:
        model = _installed(name, settings.models_dir)
        others, unread = _galleries_of_others(settings, model)
        try:
            dotenv.set_key(CHOICES_FILE, VARIABLE, name, quote_mode="never")
        except OSError as error:
            raise CommandError(
                f"cannot write {CHOICES_FILE}: {error.strerror}; set {VARIABLE}={name} instead"
            ) from error
        warnings = [*_warnings(others, name), *unread, *_overridden(name)]
        document = {
            "model": name,
            "digest": model.digest,
            "written_to": str(CHOICES_FILE.absolute()),
            "galleries_of_other_models": [gallery.id for gallery in others],
            "warnings": warnings,
        }
        said = (
            f"{VARIABLE}={name} is in {CHOICES_FILE.absolute()}: commands started here use it, a service once restarted"
        )
        return SUCCESS, document, "\n".join([said, *(f"warning: {each}" for each in warnings)])

    run(as_json, work)


def _known(name: str) -> KnownModel:
    known = known_models()
    if name not in known:
        raise CommandError(f"expected one of {', '.join(known)}, got {name}")
    return known[name]


def _installed(name: str, models_dir: Path) -> InstalledModel:
    """Raises CommandError if there is no such model, or its files are not those of its manifest."""
    models = {model.id: model for model in installed_models(models_dir)}
    if name not in models:
        cure = f"; fetch it first: likeness models pull {name}" if name in known_models() else ""
        raise CommandError(f"expected one of {', '.join(models) or 'no models'} in {models_dir}, got {name}{cure}")
    if fault := models[name].fault:
        raise CommandError(f"{name} cannot be served: {fault}")
    return models[name]


def _ask_for_license(model: KnownModel, *, as_json: bool) -> None:
    """Raises CommandError unless the person at the terminal accepts."""
    if as_json:
        raise CommandError(f"expected --accept-license with --json: the license of {model.name} is {model.license}")
    typer.echo(f"{model.name}: {model.summary}\nlicense: {model.license}\n         {model.license_url}", err=True)
    try:
        accepted = typer.confirm("Do you accept it?", err=True)
    except typer.Abort:  # the input ended
        accepted = False
    if not accepted:
        raise CommandError("the license was not accepted, and nothing was fetched; --accept-license accepts it unasked")


def _galleries_of_others(settings: Settings, model: InstalledModel) -> tuple[Sequence[GalleryInfo], Sequence[str]]:
    """Return the galleries that hold faces of another model, or why that is not known."""
    if not settings.database and not (settings.data_dir / GALLERY_FILE).exists():
        return [], []
    try:
        with open_repository(settings) as repository:
            galleries = repository.galleries()
    except LikenessError as error:
        return [], [f"the galleries could not be read, so they may belong to another model: {error}"]
    return [gallery for gallery in galleries if gallery.model not in (None, model.digest)], []


def _warnings(galleries: Sequence[GalleryInfo], name: str) -> Iterator[str]:
    for gallery in galleries:
        yield (
            f"gallery {gallery.id!r} ({gallery.faces} faces) was enrolled by another model, and answers "
            f"model_mismatch: likeness gallery re-embed {gallery.id} --model {name}"
        )


def _overridden(name: str) -> Iterator[str]:
    if (given := os.environ.get(VARIABLE)) and given != name:
        yield f"the environment has {VARIABLE}={given}, which wins: unset it"


def _lines(models: Sequence[InstalledModel], available: Sequence[KnownModel], settings: Settings) -> Iterator[str]:
    head = ("", "model", "parameters", "vector", "calibrated on", "digest", "license")
    rows = [
        (
            "*" if model.id == settings.model else "",
            model.id,
            f"{model.parameters:,}",
            model.dimension,
            model.fault or model.calibrated_on or UNCALIBRATED,
            short_digest(model.digest),
            model.license,
        )
        for model in models
    ]
    yield table(head, rows)
    if settings.model not in {model.id for model in models}:
        yield f"\n{VARIABLE}={settings.model} is not among them"
    if available:
        yield "\nto fetch with `likeness models pull NAME`:\n"
        yield table(("model", "what it is", "license"), [(each.name, each.summary, each.license) for each in available])


def _document(model: KnownModel) -> dict[str, Any]:
    return {**model.model_dump(include={"name", "summary", "url", "sha256", "bytes", "license", "license_url"})}
