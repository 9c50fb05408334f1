"""`python -m tests.benchmarks.raw`: reads a request's body and answers, in plain ASGI under our uvicorn."""

from __future__ import annotations

import os
from typing import Any

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

BODY = b'{"status": "read"}'.ljust(1500)  # about as long as an answer of /verify


async def app(_scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    body, more = bytearray(), True
    while more:
        message: Any = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))]
    await send({"type": "http.response.start", "status": 200, "headers": headers, "trailers": False})
    await send({"type": "http.response.body", "body": BODY, "more_body": False})


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(os.environ["LIKENESS_PORT"]), lifespan="off", http="httptools", loop="uvloop",
        access_log=False, log_config=None, ws="none",
    )  # fmt: skip
