"""`likeness --url URL gallery export` and `import`: whole, in pieces after a break, and what cannot be done."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple

import pytest

from app.client import Client, Vector
from tests.support import commands
from tests.support.answers import nearly
from tests.support.failing_front import failing_after
from tests.support.file_server import serving
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN
from tests.support.server import Server

Done = CompletedProcess[str]
Run = Callable[..., Done]


class Service(NamedTuple):
    server: Server
    key: str

    def run(self, *arguments: object, url: str = "") -> Done:
        """Run a command that asks the service, or what is at `url`, from a directory without galleries."""
        unused = self.server.data_dir.parent / "unused"
        return commands.run(unused, "--url", url or self.server.url, *arguments, LIKENESS_KEY=self.key)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that keeps crops, with a gallery of four subjects."""
    data_dir = tmp_path_factory.mktemp("transfer") / "data"
    (key,) = commands.new_keys(data_dir, ["--scopes", "embed,enroll,export"])
    with Server(data_dir, LIKENESS_KEEP_CROPS="on") as server, Client(server.url, key=key) as client:
        client.enroll("guests", "..", COLLINS)
        client.enroll("guests", "hopper", HOPPER, HOPPER_AGAIN)
        client.put_subject("guests", "hopper", {"name": "Grace"}, consent="form 7")
        embedded = client.embed(COLLINS)
        client.enroll("guests", "vector", Vector(embedded.results[0].faces[0].embedding, embedded.model.digest))
        client.put_subject("guests", "łukasz/1", {})
        yield Service(server, key)


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def exported(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that `gallery export` writes on the machine of the service."""
    file = tmp_path_factory.mktemp("here") / "guests.jsonl"
    commands.ran(service.server.data_dir, "gallery", "export", file, "--gallery", "guests")
    return file


def test_a_file_of_a_service_is_that_of_its_machine_and_is_imported(
    service: Service, exported: Path, tmp_path: Path
) -> None:
    file, copied = tmp_path / "guests.jsonl", tmp_path / "copy.jsonl"
    done = service.run("gallery", "export", file, "--gallery", "guests")
    assert (done.returncode, done.stdout) == (0, f"4 faces of 'guests' written to {file}\n"), done
    assert lines_of(file) == nearly(lines_of(exported))  # vectors and crops, which are texts, are the same
    assert file.stat().st_mode & 0o777 == 0o600
    assert all("crop" in face for line in lines_of(file)[1:3] for face in line["faces"])
    assert list(tmp_path.iterdir()) == [file]

    done = service.run("gallery", "import", file, "--gallery", "copy")
    counts = "subjects: 4 created, 0 updated, 0 there already, 0 left out as expired"
    assert (done.returncode, done.stdout) == (0, f"4 faces added to 'copy'; {counts}\n"), done
    assert service.run("gallery", "export", copied, "--gallery", "copy").returncode == 0
    assert lines_of(copied)[1:] == lines_of(file)[1:]
    again = json.loads(service.run("gallery", "import", file, "--gallery", "copy", "--json").stdout)
    assert (again["faces"], again["subjects"]["exists"], again["refused"]) == (0, 4, 0)


def test_an_export_goes_on_after_a_break(service: Service, exported: Path, tmp_path: Path) -> None:
    file, part = tmp_path / "guests.jsonl", tmp_path / "guests.jsonl.part"
    export = ("gallery", "export", file, "--gallery", "guests")
    with failing_after(3 + 2, service.server.port) as url:
        done = service.run(*export, url=url)
    assert done.returncode == 2
    assert f"status 502; 2 subjects are in {part}: add --resume to go on" in done.stderr, done
    assert not file.exists()
    with part.open("ab") as lines:
        lines.write(b'{"subject_id": "cut o')

    with failing_after(3 + 2, service.server.port) as url:  # enough for the other two subjects alone
        done = service.run(*export, "--resume", url=url)
    assert (done.returncode, done.stdout) == (0, f"4 faces of 'guests' written to {file}\n"), done
    assert lines_of(file) == nearly(lines_of(exported))
    assert not part.exists()


def test_an_export_of_something_else_is_not_continued(service: Service, tmp_path: Path) -> None:
    part = tmp_path / "guests.jsonl.part"
    part.write_text('{"format": "likeness-gallery-1", "gallery": "others", "model": null}\n')
    done = service.run("gallery", "export", tmp_path / "guests.jsonl", "--gallery", "guests", "--resume")
    assert done.returncode == 2
    assert "delete the file, or export without --resume" in done.stderr
    assert len(part.read_text().splitlines()) == 1


def test_an_import_goes_on_after_a_break_and_tells_refused_lines(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "many.jsonl"
    subjects = [{"subject_id": f"s{number}", "metadata": {}, "faces": []} for number in range(2500)]
    header = {"format": "likeness-gallery-1", "model": None}
    file.write_text("".join(f"{json.dumps(line)}\n" for line in [header, *subjects]) + "broken\n")
    with failing_after(1, service.server.port) as url:
        done = service.run("gallery", "import", file, "--gallery", "many", url=url)
    assert done.returncode == 2
    assert "lines up to 1001 are imported: add --after 1001 to go on" in done.stderr, done

    done = service.run("gallery", "import", file, "--gallery", "many", "--after", 1001)
    assert done.returncode == 2
    refused, count, added = done.stdout.splitlines()
    assert refused.startswith("line 2502: not an exported gallery")
    assert (count, added.partition(";")[2]) == (
        "refused lines: 1",
        " subjects: 1500 created, 0 updated, 0 there already, 0 left out as expired",
    )


def test_what_cannot_be_done_is_told_in_words(service: Service, exported: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(exported.read_text().replace("sha256:", "sha256:0", 1))
    refused = service.run("gallery", "import", other)
    assert "expected vectors of the model" in refused.stderr
    assert "--after" not in refused.stderr
    unknown = service.run("gallery", "export", tmp_path / "none.jsonl", "--gallery", "none")
    assert (unknown.returncode, list(tmp_path.iterdir())) == (2, [other])
    with serving("/galleries", b"<h1>Welcome to nginx</h1>") as site:
        elsewhere = service.run("gallery", "list", url=site.url)
    assert elsewhere.stderr.startswith(f"error: expected an answer of Likeness from {site.url}, got ")
