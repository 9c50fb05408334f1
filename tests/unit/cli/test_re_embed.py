"""`likeness gallery re-embed`: it says who must be enrolled again, and refuses models that cannot be used."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from app.cli.gallery.re_embed import _must_enroll, _result
from app.cli.output import CommandError
from app.domain.embeddings import Embedding, Template
from app.gallery.re_embedding_repository import Switched
from app.images.crops import encode_crop
from app.inference.manifest import read_embedder
from app.settings.models import BUNDLED_MODELS
from tests.support.repository import FileRepository
from tests.support.templates import FACE, QUALITY, unit
from tests.unit.cli.conftest import Command

NEW, MOMENT = "sface-128", "2026-01-02T03:04:05.678Z"
CROP = encode_crop(np.random.default_rng(0).integers(0, 256, (112, 112, 3), np.uint8))


@pytest.fixture
def filled(likeness: Command) -> Command:
    """Ada has a face with a crop and one without, bob one without."""
    model = read_embedder(BUNDLED_MODELS / "mobilefacenet-128").file.digest
    faces: dict[str, list[tuple[str, bytes | None]]] = {"ada": [("1", CROP), ("2", None)], "bob": [("3", None)]}
    with closing(FileRepository(likeness.data / "gallery.sqlite3")) as repository:
        for subject, each in faces.items():
            templates = [
                Template(face, subject, Embedding(unit(int(face), 128), model), FACE, QUALITY, MOMENT, crop)
                for face, crop in each
            ]
            repository.enroll("guests", subject, templates)
    return likeness


@pytest.mark.slow
def test_faces_without_a_crop_are_told_and_only_erased_if_asked(filled: Command) -> None:
    refused = filled("gallery", "re-embed", "guests", "--model", NEW, "--json")
    told = json.loads(refused.stdout)
    done = filled("gallery", "re-embed", "guests", "--model", NEW, "--drop-faces-without-crops", "--json")
    switched = json.loads(done.stdout)
    again = filled("gallery", "re-embed", "guests", "--model", NEW)

    assert (refused.exit_code, told["switched"]) == (2, False)
    assert (told["faces_without_crop"], told["enroll_again"]) == (2, ["ada", "bob"])
    assert "2 faces of 2 subjects have no kept crop: 'ada', 'bob'" in refused.stderr
    assert (done.exit_code, switched["switched"], switched["faces"], switched["erased"]) == (0, True, 1, 2)
    assert again.exit_code == 0
    assert "nothing to do" in again.stdout


def test_new_vectors_can_be_made_first_and_used_later_or_deleted(filled: Command) -> None:
    options = ("--model", NEW, "--no-switch", "--json")
    assert json.loads(filled("gallery", "re-embed", "guests", *options).stdout)["switched"] is False
    cancelled = filled("gallery", "re-embed", "guests", "--cancel")
    again = filled("gallery", "re-embed", "guests", "--cancel")

    assert "the new vectors are deleted" in cancelled.stdout
    assert "no re-embedding of gallery 'guests' has begun" in again.stdout


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("missing", "no model 'other'"),
        ("uncalibrated", "model 'other' has no calibration"),
        ("box", "model 'other' takes other crops (112 px, aligned by box)"),
    ],
)
def test_a_model_that_cannot_be_used_is_refused_in_one_sentence(filled: Command, change: str, words: str) -> None:
    other = filled.folder / "models" / "other"
    other.mkdir(parents=True)
    if change == "missing":
        other.rmdir()
    else:
        copy(other, with_calibration=change != "uncalibrated", box=change == "box")
    done = filled("gallery", "re-embed", "guests", "--model", "other", models_dir=filled.folder / "models")

    assert done.exit_code == 2
    assert words in done.stderr


def copy(folder: Path, *, with_calibration: bool, box: bool) -> None:
    source = BUNDLED_MODELS / NEW
    for file in source.iterdir():
        if file.name != "calibration.json" or with_calibration:
            (folder / file.name).write_bytes(file.read_bytes())
    if box:
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["alignment"] = {"kind": "box", "margin": 20}
        (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("options", [[], ["--model", NEW, "--cancel"]])
def test_a_model_or_cancel_must_be_given(filled: Command, options: list[str]) -> None:
    done = filled("gallery", "re-embed", "guests", *options)

    assert done.exit_code == 2
    assert "expected --model or --cancel" in done.stderr


def test_the_command_is_for_the_machine_of_the_gallery(filled: Command) -> None:
    done = filled("--url", "http://127.0.0.1:9", "gallery", "re-embed", "guests", "--cancel")

    assert done.exit_code == 2
    assert "run this on the machine of the gallery, without --url" in done.stderr


def test_at_most_twenty_subjects_are_named() -> None:
    named = _must_enroll({f"s{number}": 2 for number in range(23)})

    assert named.startswith("46 faces of 23 subjects have no kept crop: 's0', ")
    assert named.endswith(", 's19' and 3 others")


def test_what_happened_meanwhile_is_told(filled: Command) -> None:
    with (
        closing(FileRepository(filled.data / "gallery.sqlite3")) as repository,
        closing(sqlite3.connect(filled.data / "gallery.sqlite3", isolation_level=None)) as reader,
    ):
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM faces").fetchall()
        repository.delete_face("guests", "ada", "2")
        switched = Switched(repository.gallery("guests"), erased=1)
        _, document, text = _result(repository, "guests", NEW, switched, no_switch=False)
        reader.execute("COMMIT")
        repository.delete_subject("guests", "bob")
        with pytest.raises(CommandError, match="were deleted meanwhile: run the command again"):
            _result(repository, "guests", NEW, None, no_switch=False)

    assert (document["erased"], document["erasures_pending"]) == (1, 1)
    assert "earlier values stay on the disk until every other reader of the gallery has ended" in text
