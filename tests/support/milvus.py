"""Milvus for tests: the engine of the wheel milvus-lite behind its own server, in this process."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.server import free_port


class MilvusServer:
    """A server on a port of its own, with its data in a new folder; it may be stopped, and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="likeness-milvus-"))
        self._running: tuple[Any, Any] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        from milvus_lite.adapter.grpc.server import start_server_in_thread

        for name in ("milvus_lite", "grpc"):  # the latter tells of each method that the server lacks
            logging.getLogger(name).setLevel(logging.CRITICAL)
        server, db, _ = start_server_in_thread(data_dir=str(self.folder / "data"), host="127.0.0.1", port=self.port)
        self._running = server, db

    def stop(self) -> None:
        if self._running:
            server, db = self._running
            server.stop(grace=0).wait()
            db.close()
            self._running = None

    def forget(self) -> None:
        """Lose all data; the server must be stopped."""
        shutil.rmtree(self.folder / "data")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def running_milvus() -> Iterator[MilvusServer]:
    pytest.importorskip("milvus_lite", reason="no Milvus: pip install milvus-lite")
    server = MilvusServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()
