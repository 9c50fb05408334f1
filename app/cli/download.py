"""Fetch a file whose digest is known: checked while it arrives, and continued where the connection broke."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import BinaryIO, TypeAlias

import httpx

from app.cli.output import CommandError

TIMEOUT = 30.0
"""Seconds without a byte, after which the connection counts as broken."""
FAILURES = 3
"""How often in a row a connection may break without bringing more of the file."""
LARGEST = 2**30
"""Bytes of a file whose size is not known."""
OnProgress: TypeAlias = Callable[[int, int | None], None]
"""Is told the bytes received, and of how many if that is known."""


class _Broken(Exception):
    """The connection broke, or the server asks to try again."""


def download(
    url: str,
    file: BinaryIO,
    *,
    sha256: str,
    size: int | None,
    on_progress: OnProgress = lambda _, __: None,
) -> None:
    """Write what `url` answers to the empty `file`. Raises CommandError, also if its digest is not `sha256`."""
    part, failures, furthest = _Part(file, size, on_progress), 0, 0
    with httpx.Client(follow_redirects=True, timeout=TIMEOUT) as client:
        while not part.complete:
            try:
                _receive(client, url, part)
            except (_Broken, httpx.TransportError) as error:
                failures = 1 if part.received > furthest else failures + 1
                furthest = max(furthest, part.received)
                if failures >= FAILURES:
                    raise CommandError(
                        f"cannot fetch {url}: {error or type(error).__name__}. If this machine has no way to that "
                        "site, fetch the file on another one and give it by --file, or name a mirror by --mirror"
                    ) from error
                sleep(2.0 ** (failures - 1))
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise CommandError(f"cannot fetch {url}: {error}") from error
    part.check(url, sha256)


def check_file(path: Path, name: str, sha256: str) -> None:
    """Raises CommandError, which calls the file by its `name`, if it has another digest."""
    with path.open("rb") as file:
        _check(name, sha256, hashlib.file_digest(file, "sha256").hexdigest())


class _Part:
    """The part of a file that has arrived, and its digest so far."""

    def __init__(self, file: BinaryIO, size: int | None, on_progress: OnProgress) -> None:
        self._file, self._size, self._on_progress = file, size, on_progress
        self.etag: str | None = None
        self.complete = False
        self.restart()

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.received, self._digest = 0, hashlib.sha256()

    @property
    def headers(self) -> dict[str, str]:
        """Ask for what is missing, or for all of it if the file is another one by now. Never compressed."""
        if not (self.received and self.etag):
            return {"Accept-Encoding": "identity"}
        return {"Accept-Encoding": "identity", "Range": f"bytes={self.received}-", "If-Range": self.etag}

    def write(self, chunk: bytes, total: int | None) -> None:
        self.received += len(chunk)
        if self.received > (self._size or LARGEST):
            raise CommandError(f"expected a file of {self._size or LARGEST} bytes at most, got more")
        self._file.write(chunk)
        self._digest.update(chunk)
        self._on_progress(self.received, self._size or total)

    def check(self, url: str, sha256: str) -> None:
        _check(url, sha256, self._digest.hexdigest())


def _receive(client: httpx.Client, url: str, part: _Part) -> None:
    with client.stream("GET", url, headers=part.headers) as response:
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise _Broken(f"it answers {response.status_code} {response.reason_phrase}")
        if not response.is_success:
            raise CommandError(f"cannot fetch {url}: it answers {response.status_code} {response.reason_phrase}")
        if response.status_code != httpx.codes.PARTIAL_CONTENT or not _continues(response, part.received):
            part.restart()
        part.etag = _strong_etag(response)
        total = (
            part.received + int(response.headers["Content-Length"]) if "Content-Length" in response.headers else None
        )
        for chunk in response.iter_raw():
            part.write(chunk, total)
    part.complete = True


def _continues(response: httpx.Response, received: int) -> bool:
    if response.headers.get("Content-Range", "").startswith(f"bytes {received}-"):
        return True
    raise _Broken("it answers another part than the one that was asked for")


def _strong_etag(response: httpx.Response) -> str | None:
    """Return the tag that names these very bytes; a weak one does not."""
    etag: str | None = response.headers.get("ETag")
    return None if etag is None or etag.startswith("W/") else etag


def _check(name: str, expected: str, found: str) -> None:
    if found != expected:
        raise CommandError(f"{name} is not the published file: expected sha256:{expected}, got sha256:{found}")
