"""A server with the logging of the service that answers one good and one failing request, and stops."""

from __future__ import annotations

import threading
import urllib.request
from contextlib import suppress
from urllib.error import HTTPError

import uvicorn
from fastapi import FastAPI

from app.observability import logging as service_logging

app = FastAPI()


@app.get("/subjects/{subject}")
async def fail() -> None:
    service_logging.request_id.set("r-1")
    raise RuntimeError("it broke\nhere")


class Server(uvicorn.Server):
    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup(sockets)  # type: ignore[arg-type]
        port = self.servers[0].sockets[0].getsockname()[1]
        threading.Thread(target=self.ask, args=(port,), daemon=True).start()

    def ask(self, port: int) -> None:
        for path in ("openapi.json", "subjects/ada?secret=1"):
            with suppress(HTTPError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}").close()
        self.should_exit = True


if __name__ == "__main__":
    service_logging.configure_logging("json", "debug")
    Server(uvicorn.Config(app, port=0, log_config=None, access_log=False)).run()
