"""`likeness models`: from a file on a local site to a model that serves, and what goes wrong on the way."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import dotenv
import pytest
from typer.testing import Result

from app.cli import model_catalog, models
from app.cli.download import download
from app.cli.model_catalog import known_models
from app.domain.arrays import Pixels
from app.inference.manifest import digest_of, read_embedder
from app.settings import Settings
from tests.support.file_server import FileSite, serving
from tests.support.sources import SIDE, write
from tests.unit.cli.conftest import Command
from training.export.import_facenet import PUBLISHED, RELEASE, license_of

PATH = "/releases/stand-in.onnx"
SHIPPED = model_catalog.CATALOG


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    return write(tmp_path / "source.onnx").read_bytes()


@pytest.fixture
def command(likeness: Command, models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command in a folder with a models directory of its own, and without pauses between attempts."""
    monkeypatch.setattr("app.cli.download.sleep", lambda _: None)
    models = likeness.folder / "models"
    models.mkdir()
    for name in ("mtcnn", "mobilefacenet-128"):
        (models / name).symlink_to(models_dir / name)
    return Command(likeness.folder, models)


@pytest.fixture(autouse=True)
def catalog(command: Command, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds one model, whose own site does not exist."""
    entry = {
        "name": "stand-in",
        "summary": "A network of four numbers",
        "url": f"https://site.invalid{PATH}",
        "sha256": digest_of(content).removeprefix("sha256:"),
        "bytes": len(content),
        "license": "CC0-1.0",
        "license_url": "https://site.invalid/LICENSE",
        "network": {"kind": "onnx", "size": SIDE, "mean": 127.5, "std": 127.5, "bgr": False},
    }
    path = command.folder / "catalog.json"
    path.write_text(json.dumps({"models": [entry]}))
    monkeypatch.setattr(model_catalog, "CATALOG", path)


@pytest.fixture
def site(content: bytes) -> Iterator[FileSite]:
    with serving(PATH, content) as opened:
        yield opened


def pull(command: Command, site: FileSite, *options: object) -> Result:
    return command("models", "pull", "stand-in", "--accept-license", *options, models_mirror=site.url)


def left_behind(command: Command) -> set[str]:
    return {path.name for path in command.models_dir.iterdir()} - {"mtcnn", "mobilefacenet-128"}


def test_pulled_model_serves_uncalibrated(command: Command, site: FileSite, hopper: Pixels) -> None:
    done = pull(command, site)
    assert (done.exit_code, left_behind(command)) == (0, {"stand-in"}), done.output
    manifest = read_embedder(command.models_dir / "stand-in")
    assert (manifest.license, manifest.provenance["source"]) == ("CC0-1.0", "stand-in.onnx")
    listed = json.loads(command("models", "list", "--json").stdout)
    assert listed["available"] == []
    assert [(each["id"], each["calibrated_on"], each["in_use"]) for each in listed["models"]] == [
        ("mobilefacenet-128", "lfw_dev", True),
        ("stand-in", None, False),
    ]
    photo = command.photo("hopper.jpg", hopper)
    answer = json.loads(command("verify", photo, photo, "--json", model="stand-in").stdout)
    assert answer["threshold"] | {"distance": 1.1, "source": "uncalibrated"} == answer["threshold"]
    assert "is there already" in pull(command, site).stdout
    assert len(site.ranges) == 1


@pytest.mark.parametrize(
    ("faults", "etag", "ranges"),
    [
        ([100, "busy", 50], '"1"', [None, "bytes=100-", "bytes=100-", "bytes=150-"]),
        ([100], None, [None, None]),
        ([100], 'W/"1"', [None, None]),
    ],
    ids=["continues", "restarts without a tag", "restarts with a weak tag"],
)
def test_a_broken_download_goes_on(
    content: bytes, tmp_path: Path, faults: list[int | str], etag: str | None, ranges: list[str | None]
) -> None:
    fetched = tmp_path / "fetched"
    with serving(PATH, content, faults, etag) as site, fetched.open("wb") as file:
        download(site.url + PATH, file, sha256=hashlib.sha256(content).hexdigest(), size=None)
    assert (fetched.read_bytes(), site.ranges) == (content, ranges)


@pytest.mark.parametrize(
    ("content_served", "faults", "message"),
    [
        (b"another file", [], "is not the published file: expected sha256:"),
        (b"0" * 10**6, [], "bytes at most, got more"),
        (None, [10, 0, 0, 0, 0], "give it by --file, or name a mirror by --mirror"),
        (None, ["busy"] * 9, "it answers 503"),
    ],
    ids=["other bytes", "more bytes", "always broken", "always busy"],
)
def test_a_file_that_cannot_be_fetched_leaves_nothing(
    command: Command,
    content: bytes,
    content_served: bytes | None,
    faults: list[int | str],
    message: str,
) -> None:
    with serving(PATH, content_served or content, faults) as site:
        done = pull(command, site)
    assert (done.exit_code, left_behind(command)) == (2, set())
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_offline_machine_gets_a_sentence_and_may_use_a_file(command: Command, tmp_path: Path) -> None:
    offline = command("models", "pull", "stand-in", "--accept-license", "--mirror", "http://127.0.0.1:1")
    assert (offline.exit_code, left_behind(command)) == (2, set())
    assert "no way to that site" in offline.stderr
    other = command("models", "pull", "stand-in", "--accept-license", "--file", Path(__file__))
    assert "is not the published file" in other.stderr
    assert command("models", "pull", "stand-in", "--accept-license", "--file", tmp_path / "source.onnx").exit_code == 0


def test_nothing_is_fetched_before_the_license_is_accepted(command: Command, site: FileSite) -> None:
    for answer in ("n\n", ""):
        refused = command("models", "pull", "stand-in", input=answer, models_mirror=site.url)
        assert (refused.exit_code, site.ranges) == (2, [])
        assert "license: CC0-1.0" in refused.stderr
    unasked = command("models", "pull", "stand-in", "--json", models_mirror=site.url)
    assert "expected --accept-license" in json.loads(unasked.stdout)["detail"]
    assert command("models", "pull", "stand-in", input="y\n", models_mirror=site.url).exit_code == 0


def test_missing_packages_are_named_with_their_cure(
    command: Command, site: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cli.published_models.find_spec", lambda _: None)
    assert "needs onnx to be wrapped, not to be served: pip install 'likeness[models]'" in pull(command, site).stderr
    monkeypatch.setattr(model_catalog, "CATALOG", SHIPPED)
    torch = command("models", "pull", "facenet-vggface2", "--accept-license", models_mirror=site.url)
    assert "needs torch and onnx" in torch.stderr
    assert "likeness[training]" in torch.stderr
    assert site.ranges == []


def test_without_the_package_training_another_machine_is_named(
    command: Command, site: FileSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.cli.published_models.PACKAGES", command.folder)
    said = pull(command, site).stderr

    assert "is wrapped by the package `training`, which is not installed here; or pull it where they are" in said
    assert f"copy the folder stand-in to {command.models_dir}" in said


def test_one_command_at_a_time_pulls_a_model_and_removes_what_a_killed_one_left(
    command: Command, site: FileSite
) -> None:
    work = command.models_dir / ".pull-stand-in"
    (work / "stand-in").mkdir(parents=True)
    (work / "part").touch()
    lock = os.open(work, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    busy = pull(command, site)
    left = sorted(path.name for path in work.iterdir())
    os.close(lock)

    assert (busy.exit_code, left) == (2, ["part", "stand-in"])
    assert "another command is pulling stand-in" in busy.stderr
    assert pull(command, site).exit_code == 0
    assert left_behind(command) == {"stand-in"}


@pytest.mark.parametrize("content", [b"no network"])
def test_a_file_that_cannot_be_wrapped_leaves_nothing(command: Command, site: FileSite) -> None:
    done = pull(command, site)

    assert (done.exit_code, left_behind(command)) == (2, set())
    assert "stand-in cannot be wrapped: " in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_models_directory_that_is_none_is_told(command: Command, site: FileSite) -> None:
    file = command.folder / "catalog.json"
    listed = command("models", "list", models_dir=file)
    pulled = command("models", "pull", "stand-in", "--accept-license", models_dir=file, models_mirror=site.url)

    assert f"cannot read {file}: Not a directory; set LIKENESS_MODELS_DIR" in listed.stderr
    assert f"cannot write to {file}: Not a directory; set LIKENESS_MODELS_DIR to a copy of it" in pulled.stderr
    assert site.ranges == []


def test_names_that_are_not_known_are_told_with_those_that_are(command: Command) -> None:
    assert "expected one of stand-in, got other" in command("models", "pull", "other").stderr
    assert "LIKENESS_MODEL=other is not among them" in command("models", "list", model="other").stdout
    assert models._known_names() == ["stand-in"]


def test_a_choice_that_cannot_be_kept_is_told_with_a_way_around(command: Command) -> None:
    (command.folder / ".env.local").mkdir()
    done = command("models", "use", "mobilefacenet-128")

    assert done.exit_code == 2
    assert "cannot write .env.local: Is a directory; set LIKENESS_MODEL=mobilefacenet-128 instead" in done.stderr


def test_a_model_can_be_chosen_without_galleries_and_beside_unreadable_ones(command: Command) -> None:
    none = json.loads(command("models", "use", "mobilefacenet-128", "--json").stdout)
    command.data.mkdir()
    (command.data / "gallery.sqlite3").write_bytes(b"no database" * 100)
    unread = json.loads(command("models", "use", "mobilefacenet-128", "--json").stdout)

    assert none["warnings"] == []
    assert "the galleries could not be read, so they may belong to another model" in unread["warnings"][0]


def test_used_model_is_that_of_the_settings(command: Command, site: FileSite, hopper: Pixels) -> None:
    person = command.photo("people/grace/1.png", hopper).parents[1]
    assert command("enroll", person).exit_code == 0
    assert "models pull stand-in" in command("models", "use", "stand-in").stderr
    pull(command, site)
    (command.folder / ".env").write_text("LIKENESS_MODEL=mobilefacenet-128\nLIKENESS_PORT=9\n")
    done = command("models", "use", "stand-in")
    assert "gallery 'default' (1 faces) was enrolled by another model" in done.stdout
    assert "likeness gallery re-embed default --model stand-in" in done.stdout
    assert (Settings().model, Settings().port) == ("stand-in", 9)
    assert dotenv.dotenv_values(".env.local") == {"LIKENESS_MODEL": "stand-in"}
    again = json.loads(command("models", "use", "mobilefacenet-128", "--json", model="stand-in").stdout)
    assert again["galleries_of_other_models"] == []
    assert again["warnings"] == ["the environment has LIKENESS_MODEL=stand-in, which wins: unset it"]
    unknown = command("models", "use", "mtcnn")
    assert (unknown.exit_code, "expected one of mobilefacenet-128, stand-in" in unknown.stderr) == (2, True)


def test_damaged_model_is_listed_but_not_used(command: Command, site: FileSite) -> None:
    pull(command, site)
    (command.models_dir / "stand-in" / "embedder.onnx").write_bytes(b"")
    (command.models_dir / "other").mkdir()
    (command.models_dir / "other" / "manifest.json").write_text("{")
    assert "differs from its manifest" in command("models", "list").stdout
    other = {each["id"]: each for each in json.loads(command("models", "list", "--json").stdout)["models"]}["other"]
    assert "manifest.json" in other["fault"]
    assert "stand-in cannot be served" in command("models", "use", "stand-in").stderr


def test_catalog_agrees_with_the_import_of_facenet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_catalog, "CATALOG", SHIPPED)
    facenet = known_models()["facenet-vggface2"]
    published = PUBLISHED["vggface2"]
    assert (facenet.url, facenet.license) == (f"{RELEASE}/{published.file}", license_of(published))
