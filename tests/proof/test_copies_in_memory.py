"""Copies of an erased vector in the memory of the service: how many can be read there, and that a restart ends them."""

import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.support.api import Api, subject_path
from tests.support.photos import COLLINS, HOPPER
from tests.support.server import Server

from .lengths import report

WRITABLE = re.compile(r"([0-9a-f]+)-([0-9a-f]+) rw")


def copies(server: Server, vector: bytes) -> int:
    """Return how often the bytes are in the writable memory of the process."""
    pid, found = server.process.pid, 0
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            if block := WRITABLE.match(line):
                start, end = (int(address, 16) for address in block.groups())
                with suppress(OSError):  # it may have been returned to the system meanwhile
                    memory.seek(start)
                    found += memory.read(end - start).count(vector)
    return found


def test_a_restart_ends_every_copy_of_an_erased_vector(tmp_path: Path) -> None:
    with Server(tmp_path / "other") as other, Api.of(other) as api:  # a process that is not looked at computes it
        api.enroll("staff", "ada", COLLINS)
        (face,) = api.http.get(f"{subject_path('staff', 'ada')}/export").json()["faces"]
    vector = np.array(face["embedding"], "<f4").tobytes()
    with Server(tmp_path / "data") as server, Api.of(server) as api:
        for subject, photo in (("bob", HOPPER), ("ada", COLLINS)):
            api.enroll("staff", subject, photo)
        api.candidates(HOPPER, "staff")
        try:
            before = copies(server, vector)
        except PermissionError as error:
            pytest.skip(f"the memory of another process cannot be read here: {error}")
        api.delete(subject_path("staff", "ada"))
        after = copies(server, vector)
        for _ in range(5):
            api.candidates(HOPPER, "staff")
        api.enroll("staff", "bob", HOPPER)
        report(f"copies of a vector: {before}; after its erasure {after}; five searches later {copies(server, vector)}")
        assert before > 0
    with Server(tmp_path / "data") as server, Api.of(server) as api:
        assert api.candidates(HOPPER, "staff")
        assert copies(server, vector) == 0
