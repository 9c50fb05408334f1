"""`likeness audit ...`: who did what, and whether that is still what was written."""

import base64
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.domain.identity import Actor
from app.storage.cipher import AesGcmCipher, parse_keys
from tests.support.repository import FileRepository
from tests.support.tampering import cut_log, sign_again, without_triggers
from tests.support.templates import numbered
from tests.unit.cli.conftest import Command

ODD = ":key: [b]\u202e\x9b2J \ufb01 Žofie"


@pytest.fixture
def filled(likeness: Command) -> Command:
    repository = FileRepository(likeness.data / "gallery.sqlite3")
    repository.enroll("guests", "ada", numbered("ada", 1), by=Actor("key:1", "r-1"))
    repository.put_subject("guests", ODD, {"name": "Augusta"})
    repository.put_subject("staff", "ada", {})
    repository.close()
    return likeness


def document(likeness: Command, *arguments: object, exit_code: int = 0) -> dict[str, Any]:
    done = likeness("audit", *arguments, "--json")
    assert done.exit_code == exit_code, done.output
    return dict(json.loads(done.stdout))


def spoil(likeness: Command, statement: str) -> None:
    """Change the file without its triggers, which somebody with the rights of root can do."""
    with closing(sqlite3.connect(likeness.data / "gallery.sqlite3")) as db, db:
        guards = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            db.execute(f"DROP TRIGGER {name}")
        db.execute(statement)
        for _, sql in guards:
            db.execute(sql)


def test_entries_are_listed_as_they_were_written_a_json_object_a_line(filled: Command) -> None:
    listed = document(filled, "list")["entries"]
    lines = filled("audit", "list").stdout.splitlines()
    assert [json.loads(line) for line in lines] == listed
    assert [(each["seq"], each["action"], each.get("subject")) for each in listed] == [
        (1, "gallery.create", None),
        (2, "face.enroll", "ada"),
        (3, "subject.put", ODD),
        (4, "gallery.create", None),
        (5, "subject.put", "ada"),
    ]
    assert (listed[1]["by"], listed[1]["request_id"]) == ("key:1", "r-1")
    assert "Augusta" not in str(lines)


def test_the_terminal_is_shown_no_character_that_it_would_obey(filled: Command) -> None:
    shown = filled("audit", "list").stdout
    assert not {character for character in shown if not character.isprintable()} - {"\n"}


@pytest.mark.parametrize(
    ("arguments", "seqs"),
    [
        (["--gallery", "guests"], [1, 2, 3]),
        (["--subject", "ada"], [2, 5]),
        (["--gallery", "staff", "--subject", "ada"], [5]),
        (["--subject", ODD], [3]),
        (["--gallery", "none"], []),
    ],
)
def test_of_one_gallery_or_subject_alone(filled: Command, arguments: list[str], seqs: list[int]) -> None:
    assert [each["seq"] for each in document(filled, "list", *arguments)["entries"]] == seqs


def test_a_whole_log_is_told_with_its_head_which_stays_part_of_it(filled: Command) -> None:
    verdict = document(filled, "verify")
    said = filled("audit", "verify").stdout
    filled("keys", "create", "--scopes", "verify")
    later = document(filled, "verify", "--head", verdict["head"])
    assert (verdict["ok"], verdict["entries"]) == (True, 5)
    assert said == f"whole: 5 entries, head {verdict['head']}\n"
    assert (later["ok"], later["entries"]) == (True, 6)


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        (
            "UPDATE audit SET entry = replace(entry, 'key:1', 'key:2') WHERE seq = 2",
            "entry 2 was changed, or one before it",
        ),
        ("DELETE FROM audit WHERE seq = 3", "expected entry 3, got 4"),
        ("DELETE FROM audit WHERE seq = 5", "the entries after 4 are missing"),
    ],
)
def test_a_broken_log_is_told_and_ends_with_2(filled: Command, statement: str, fault: str) -> None:
    spoil(filled, statement)
    verdict = document(filled, "verify", exit_code=2)
    done = filled("audit", "verify")
    assert verdict["ok"] is False
    assert verdict["fault"].startswith(fault)
    assert (done.exit_code, done.stdout.startswith(f"broken: {fault}")) == (2, True)


def test_a_head_that_was_never_there_is_told(filled: Command) -> None:
    assert document(filled, "verify", "--head", "0" * 63 + "1", exit_code=2)["fault"].endswith("replaced or cut")


def test_where_there_is_no_gallery_there_is_no_whole_log(likeness: Command) -> None:
    done = likeness("audit", "verify")
    assert done.exit_code == 2
    assert f"no gallery in {likeness.data}" in done.stderr
    assert not likeness.data.exists()


KEY = base64.b64encode(bytes([1]) * 32).decode()


def test_a_head_is_printed_and_found_in_the_log_later(filled: Command, tmp_path: Path) -> None:
    file = tmp_path / "head.json"
    file.write_text(filled("audit", "head").stdout)
    filled("keys", "create", "--scopes", "verify")

    assert json.loads(file.read_text()).keys() == {"seq", "hash", "at"}
    assert document(filled, "verify", "--head", file)["entries"] == 6


def test_a_head_in_a_file_finds_a_log_that_was_cut_and_signed_again(filled: Command, tmp_path: Path) -> None:
    file = tmp_path / "head.json"
    file.write_text(filled("audit", "head").stdout)
    with without_triggers(filled.data / "gallery.sqlite3") as db:
        cut_log(db, 1)
        sign_again(db)

    assert document(filled, "verify")["entries"] == 4
    assert document(filled, "verify", "--head", file, exit_code=2)["fault"].endswith("replaced or cut")


@pytest.fixture
def signed(likeness: Command, tmp_path: Path) -> Path:
    """A head of an encrypted gallery, signed."""
    cipher = AesGcmCipher(parse_keys(KEY))
    with closing(FileRepository(likeness.data / "gallery.sqlite3", cipher=cipher)) as repository:
        repository.put_subject("guests", "ada", {})
    file = tmp_path / "head.json"
    file.write_text(likeness("audit", "head", "--sign", encryption_key=KEY).stdout)
    return file


def test_a_signed_head_is_checked(likeness: Command, signed: Path) -> None:
    head = json.loads(signed.read_text())
    assert likeness("audit", "verify", "--head", signed, encryption_key=KEY).exit_code == 0
    pinned = ["--public-key", head["public_key"]]
    assert likeness("audit", "verify", "--head", signed, *pinned, encryption_key=KEY).exit_code == 0


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"seq": 99}, "the signature is not that of this head"),
        ({"signature": "00" * 64}, "the signature is not that of this head"),
        ({"signature": "no"}, "the signature is not that of this head"),
        ({"public_key": "00" * 32}, "expected a head signed by a key that is given"),
        ({"other": 1}, "expected a head that `likeness audit head` printed"),
    ],
)
def test_a_head_with_a_wrong_signature_is_refused(
    likeness: Command, signed: Path, change: dict[str, Any], problem: str
) -> None:
    signed.write_text(json.dumps(json.loads(signed.read_text()) | change))
    done = likeness("audit", "verify", "--head", signed, encryption_key=KEY)

    assert done.exit_code == 2
    assert problem in done.stderr


def test_an_unsigned_head_is_refused_where_a_public_key_is_expected(likeness: Command, signed: Path) -> None:
    head = json.loads(signed.read_text())
    signed.write_text(json.dumps({name: head[name] for name in ("seq", "hash", "at")}))

    assert likeness("audit", "verify", "--head", signed, encryption_key=KEY).exit_code == 0
    pinned = ["--public-key", head["public_key"]]
    assert likeness("audit", "verify", "--head", signed, *pinned, encryption_key=KEY).exit_code == 2


@pytest.mark.usefixtures("signed")
def test_an_encrypted_gallery_is_verified_and_changed_with_its_key_only(likeness: Command) -> None:
    for arguments in (["audit", "verify"], ["keys", "create", "--scopes", "admin"], ["backup", "-"]):
        done = likeness(*arguments)
        assert done.exit_code == 2
        assert "the gallery is encrypted: set LIKENESS_ENCRYPTION_KEY" in done.stderr


def test_signing_needs_an_encryption_key(filled: Command) -> None:
    assert "expected LIKENESS_ENCRYPTION_KEY" in filled("audit", "head", "--sign").stderr


def test_an_export_is_a_chain_that_others_can_check(filled: Command, tmp_path: Path) -> None:
    file = tmp_path / "chain.jsonl"
    assert document(filled, "export", file) == {"entries": 5}
    assert filled("audit", "export", "-").stdout == file.read_text()
    last = "0" * 64
    for line in map(json.loads, file.read_text().splitlines()):
        last = hashlib.sha256(f"{last}\n{line['seq']}\n{line['entry']}".encode()).hexdigest()
        assert line["hash"] == last

    assert last == document(filled, "head")["hash"]
    assert filled("audit", "export", file).exit_code == 2


def test_rows_that_were_changed_are_told_until_they_are_accepted(filled: Command) -> None:
    spoil(filled, "DELETE FROM faces")
    fault = "gallery 'guests': expected 1 rows in faces, got 0"
    assert document(filled, "verify", exit_code=2)["fault"] == fault
    assert filled("audit", "accept", input="n\n").exit_code == 2
    assert document(filled, "verify", exit_code=2)["fault"] == fault
    assert "expected --yes" in document(filled, "accept", exit_code=2)["detail"]

    assert document(filled, "accept", "--yes")["accepted"] == [fault]
    assert document(filled, "verify")["ok"] is True
    assert document(filled, "accept")["accepted"] == []
    assert document(filled, "list")["entries"][-1]["differences"] == [fault]
