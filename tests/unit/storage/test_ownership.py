"""A data directory of another user: the message names both users and what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.storage.ownership import CONTAINER_UID, ownership_hint
from tests.support.server import REPOSITORY

OPEN = """
import os, sys
from app.bootstrap.storage import open_cipher, open_repository
from app.domain.errors import StartError
from app.settings import Settings

if os.geteuid() == 0:
    os.setuid(int(sys.argv[1]))
try:
    settings = Settings(data_dir=sys.argv[2], encryption_key_file=sys.argv[3] or None, _env_file=None)
    open_cipher(settings)
    with open_repository(settings):
        print("opened")
except StartError as error:
    print(error)
"""


def opened_by(uid: int, data_dir: Path, key_file: str = "") -> str:
    """Return what a process of that user says, or of this one where it may not become another."""
    command = [sys.executable, "-c", OPEN, str(uid), str(data_dir), key_file]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.slow
def test_permission_denied_names_both_users_and_the_remedy(tmp_path: Path) -> None:
    uid = 12345 if os.geteuid() == 0 else os.geteuid()
    owned_by_root = tmp_path / "data" if os.geteuid() == 0 else Path("/likeness-data")
    said = opened_by(uid, owned_by_root)

    assert said.startswith(f"cannot open the gallery {owned_by_root}/gallery.sqlite3: ")
    assert "Permission denied" in said
    assert f"; this process has the uid {uid}, and /" in said
    assert f" belongs to the uid 0: `chown -R {uid}` gives it to the process" in said
    assert "on the host" not in said


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become the user of the container")
def test_in_the_container_the_remedy_is_for_the_host(tmp_path: Path) -> None:
    said = opened_by(CONTAINER_UID, tmp_path / "data")

    assert said.endswith("`chown -R 10001` gives it to the process, on the host for what is mounted there")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_gallery_in_a_directory_of_another_user_is_told_so_too(tmp_path: Path) -> None:
    data_dir = Path("/dev/shm") / tmp_path.name  # noqa: S108 - every user may pass through it
    data_dir.mkdir(mode=0o755)
    try:
        (data_dir / "key").write_text("")
        (data_dir / "key").chmod(0o600)
        said, key_said = opened_by(12345, data_dir), opened_by(12345, data_dir, str(data_dir / "key"))
    finally:
        for each in data_dir.iterdir():
            each.unlink()
        data_dir.rmdir()

    assert f"and {data_dir} belongs to the uid 0" in said
    assert key_said.startswith("cannot read the encryption key: ")
    assert f"and {data_dir}/key belongs to the uid 0" in key_said


@pytest.mark.parametrize(
    ("uid", "where"),
    [(12345, ""), (CONTAINER_UID, ", on the host for what is mounted there")],
    ids=["any", "container"],
)
def test_the_nearest_folder_that_there_is_is_the_one_to_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, where: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(os, "access", lambda *_: False)

    assert ownership_hint(tmp_path / "data" / "gallery.sqlite3") == (
        f"; this process has the uid {uid}, and {tmp_path} belongs to the uid {tmp_path.stat().st_uid}: "
        f"`chown -R {uid}` gives it to the process{where}"
    )


def test_nothing_is_said_where_the_user_is_not_the_cause(tmp_path: Path) -> None:
    assert ownership_hint(tmp_path / "data" / "gallery.sqlite3") == ""


def test_the_container_runs_as_the_user_that_the_message_takes_it_for() -> None:
    assert f"useradd --system --uid {CONTAINER_UID} " in (REPOSITORY / "docker" / "Dockerfile").read_text()
