"""Answer with lines of JSON while the lines of the request still arrive."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from fastapi import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from app.api.openapi import NDJSON
from app.api.problems import ProblemContext, problem_of
from app.domain.errors import LikenessError, ServiceError
from app.gallery.records import ImportOutcome
from app.services.gallery_import import LineResult

log = logging.getLogger(__name__)

MEDIA_TYPE = NDJSON
_MAX_WAITING = 8 * 2**20
"""Bytes of answers that wait for a client which sends everything before it reads: those to about 100,000 lines."""


class ImportAnswers(Response):
    """
    Sends an answer a line. Reading the request stops while too many answers wait.

    Starlette's StreamingResponse would read the rest of the request itself, to find out that the client has left.
    """

    media_type = MEDIA_TYPE

    def __init__(self, results: AsyncIterator[list[LineResult]], context: ProblemContext) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._results, self._context = results, context

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        waiting = _Waiting()
        importing = asyncio.create_task(self._import(waiting))
        try:
            async for answers in waiting:
                await send({"type": "http.response.body", "body": answers, "more_body": True})
            await importing
        finally:
            importing.cancel()
            await asyncio.gather(importing, return_exceptions=True)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _import(self, waiting: _Waiting) -> None:
        try:
            await waiting.put([{"line": 1, "subject_id": None, "status": "header", "faces": 0, "error": None}])
            async for results in self._results:
                await waiting.put(map(self._answer, results))
        except ClientDisconnect:
            log.info("the client left before the end of the import")
        except HTTPException as error:  # the body is too slow
            code = "upload_timeout" if error.status_code == 408 else "invalid_request"
            await waiting.put([_ended({"code": code, "detail": str(error.detail)})])
        except LikenessError as error:
            if isinstance(error, ServiceError):
                log.warning("an import ended early", exc_info=error)
            await waiting.put([_ended(self._problem(error))])
        finally:
            waiting.end()

    def _answer(self, line: LineResult) -> dict[str, Any]:
        result, about = line.result, {"line": line.number, "subject_id": line.subject_id}
        if isinstance(result, ImportOutcome):
            return {**about, "status": result.status, "faces": result.faces, "error": None}
        return {**about, "status": "error", "faces": 0, "error": self._problem(result)}

    def _problem(self, error: LikenessError) -> dict[str, Any]:
        problem = problem_of(self._context, error)
        return {"code": problem["code"], "detail": problem["detail"]}


def _ended(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return the last answer of an import that ended before its last line."""
    return {"line": None, "subject_id": None, "status": "error", "faces": 0, "error": error}


class _Waiting:
    """Answers that were not sent yet, at most _MAX_WAITING bytes and those of one transaction."""

    def __init__(self) -> None:
        self._answers: list[bytes] = []
        self._size = 0
        self._ended = False
        self._changed = asyncio.Event()

    async def put(self, answers: Iterable[Mapping[str, Any]]) -> None:
        """Add them, once there is room."""
        encoded = "".join([json.dumps(answer) + "\n" for answer in answers]).encode()
        while self._size >= _MAX_WAITING:
            self._changed.clear()
            await self._changed.wait()
        self._answers.append(encoded)
        self._size += len(encoded)
        self._changed.set()

    def end(self) -> None:
        self._ended = True
        self._changed.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._answers or not self._ended:
            if not self._answers:
                self._changed.clear()
                await self._changed.wait()
                continue
            answers, self._answers, self._size = b"".join(self._answers), [], 0
            self._changed.set()
            yield answers
