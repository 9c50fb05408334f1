"""`likeness gallery rotate`: from no key to a key, from key to key; and which key opens the gallery afterwards."""

import base64
import json
from pathlib import Path

import pytest

from tests.support.repository import FileRepository
from tests.support.templates import numbered, unit
from tests.unit.cli.conftest import Command

OLD, NEW = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))


@pytest.fixture
def filled(likeness: Command) -> Command:
    repository = FileRepository(likeness.data / "gallery.sqlite3")
    repository.enroll("guests", "ada", numbered("ada", 1, 2))
    repository.close()
    return likeness


def readable(likeness: Command) -> bool:
    """Return whether a vector can be read in any file."""
    kept = b"".join(file.read_bytes() for file in likeness.data.iterdir())
    return unit(1).tobytes() in kept


def test_a_gallery_in_clear_is_encrypted_and_opens_with_the_key_alone(filled: Command) -> None:
    before = readable(filled)
    done = filled("gallery", "rotate", encryption_key=OLD)
    checks = [filled("gallery", "check", encryption_key=key).exit_code for key in (OLD, NEW, f"{NEW},{OLD}")]
    assert (done.exit_code, done.stdout) == (0, "2 faces encrypted with the first key\n")
    assert (before, readable(filled)) == (True, False)
    assert checks == [0, 2, 0]
    assert filled("gallery", "check").exit_code == 2


def test_from_key_to_key_the_old_one_is_done_with(filled: Command, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{NEW}\n{OLD}\n")
    filled("gallery", "rotate", encryption_key=OLD)
    done = filled("gallery", "rotate", "--json", encryption_key_file=keys)
    assert json.loads(done.stdout) == {"ok": True, "faces": 2}
    assert [filled("gallery", "check", encryption_key=key).exit_code for key in (NEW, OLD)] == [0, 2]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "expected LIKENESS_ENCRYPTION_KEY or LIKENESS_ENCRYPTION_KEY_FILE"),
        ({"encryption_key": "short"}, "encryption key 1 "),
        ({"encryption_key": NEW, "encryption_key_file": "x"}, "got both"),
        ({"encryption_key_file": "nowhere"}, "cannot read the encryption key"),
        ({"encryption_key": NEW}, "encrypted with another key than those given"),
    ],
)
def test_what_cannot_be_done_is_told_in_words_and_changes_nothing(
    filled: Command, settings: dict[str, str], words: str
) -> None:
    filled("gallery", "rotate", encryption_key=OLD)
    done = filled("gallery", "rotate", **settings)
    assert done.exit_code == 2
    assert words in done.stderr
    assert filled("gallery", "check", encryption_key=OLD).exit_code == 0
    assert NEW not in done.stderr


def test_the_audit_log_says_so(filled: Command) -> None:
    filled("gallery", "rotate", encryption_key=OLD)
    done = filled("audit", "list")
    assert json.loads(done.stdout.splitlines()[-1])["action"] == "gallery.rotate"
    assert filled("audit", "verify").exit_code == 0
