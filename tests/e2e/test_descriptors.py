"""A service that runs out of file descriptors says so, goes on with what it has, and recovers."""

import re
import resource
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.commands import eventually
from tests.support.server import HOST, SERVE, Server

DESCRIPTORS = 100
LIMITED = (
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, {}); os.execv(sys.argv[1], sys.argv[1:])"
)
NONE_LEFT = "no file descriptor is left"


def limited(data_dir: Path, soft: int, hard: int, **settings: str) -> Server:
    command = [sys.executable, "-c", LIMITED.format((soft, hard)), *SERVE]
    return Server(data_dir, command=command, **settings)


def allowed(server: Server) -> int:
    """Return how many files the process may open."""
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    return int(re.findall(r"Max open files +(\d+)", limits)[0])


def test_it_is_logged_once_that_none_is_left_and_afterwards_requests_are_answered(tmp_path: Path) -> None:
    with limited(tmp_path / "data", DESCRIPTORS, DESCRIPTORS) as server:
        with ExitStack() as opened:
            for _ in range(2 * DESCRIPTORS):
                opened.enter_context(socket.create_connection((HOST, server.port), 5))
            assert eventually(lambda: NONE_LEFT in server.log.read_text()), server.log.read_text()
        assert eventually(server.is_ready)
        words = server.log.read_text()
    assert words.count(NONE_LEFT) == 1
    assert f"may open {DESCRIPTORS} files, and LIKENESS_MAX_CONNECTIONS=1024 needs 1152" in words


def test_the_soft_limit_is_raised_as_far_as_the_connections_need(tmp_path: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1000:
        pytest.skip(f"a process may raise its limit on open files to {hard} only")
    with limited(tmp_path / "data", DESCRIPTORS, 1000, LIKENESS_MAX_CONNECTIONS="300") as server:
        assert allowed(server) == 428
        assert "ulimit" not in server.log.read_text()
