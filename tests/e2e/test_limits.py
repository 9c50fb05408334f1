"""Limits of one address, where no key is required."""

import contextlib
import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.commands import eventually
from tests.support.server import Server
from tests.support.wire import Wire


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"LIKENESS_RATE_LIMIT": "50", "LIKENESS_MAX_CONCURRENT": "2"}
    with Server(tmp_path_factory.mktemp("strict") / "data", **settings) as running:
        yield running


def test_an_address_is_limited_under_any_name_that_it_gives_itself(strict: Server) -> None:
    with httpx2.Client(base_url=strict.url, timeout=20) as http:
        forged = [{"X-Forwarded-For": f"10.0.0.{number}", "Forwarded": f"for=10.0.0.{number}"} for number in range(150)]
        statuses = [http.get("/nothing", headers=headers).status_code for headers in forged]
    assert set(statuses) == {404, 429}
    time.sleep(1)


def test_an_address_has_a_limit_of_requests_at_once(strict: Server) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Wire(strict)).head("POST", "/detect", 9, Content_Type="application/json")
        assert eventually(lambda: httpx2.get(f"{strict.url}/models").status_code == 429)
    assert eventually(lambda: httpx2.get(f"{strict.url}/models").status_code == 200)
