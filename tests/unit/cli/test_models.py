"""`likeness models`: from a file on a local site to a model that serves, and what goes wrong on the way."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import dotenv
import pytest
from typer.testing import Result

from app.cli import model_catalog
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
    assert "differs from its manifest" in command("models", "list").stdout
    assert "stand-in cannot be served" in command("models", "use", "stand-in").stderr


def test_catalog_agrees_with_the_import_of_facenet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_catalog, "CATALOG", SHIPPED)
    facenet = known_models()["facenet-vggface2"]
    published = PUBLISHED["vggface2"]
    assert (facenet.url, facenet.license) == (f"{RELEASE}/{published.file}", license_of(published))
