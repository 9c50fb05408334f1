"""A service that only fails."""

from fastapi import FastAPI
from starlette.testclient import TestClient

from app.api import problems
from app.api.middleware.request_id import RequestId


class Raising:
    """An application whose only route raises a given error."""

    def __init__(self) -> None:
        self.error: Exception = RuntimeError()
        app = FastAPI()
        app.add_middleware(RequestId)
        problems.install(app)
        app.get("/route")(self.route)
        self.client = TestClient(app, raise_server_exceptions=False, headers={"X-Request-ID": "trace-1"})

    def route(self) -> None:
        raise self.error

    def answer(self, error: Exception) -> tuple[int, dict[str, object], dict[str, str]]:
        self.error = error
        response = self.client.get("/route")
        assert response.headers["content-type"] == "application/problem+json"
        return response.status_code, response.json(), dict(response.headers)
