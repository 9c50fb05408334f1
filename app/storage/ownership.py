"""Say whose a file or directory is that this process may not use, and how to give it to the process."""

from __future__ import annotations

import os
from pathlib import Path

CONTAINER_UID = 10001
"""The user in our images (docker/Dockerfile)."""


def ownership_hint(path: Path) -> str:
    """
    Return "" or, where `path` (or what exists of it) belongs to another user who bars this process, a clause to append
    to the message of the error.
    """
    existing, owner = _nearest(path)
    uid = os.geteuid()
    if uid in (owner, 0) or os.access(existing, os.R_OK | os.W_OK):
        return ""
    where = ", on the host for what is mounted there" if uid == CONTAINER_UID else ""
    return (
        f"; this process has the uid {uid}, and {existing} belongs to the uid {owner}: "
        f"`chown -R {uid}` gives it to the process{where}"
    )


def _nearest(path: Path) -> tuple[Path, int]:
    """Return `path` or its nearest parent that can be seen, and its owner."""
    for each in (path, *path.absolute().parents):
        try:
            return each, each.stat().st_uid
        except OSError:
            continue
    return Path("/"), 0
