"""The page for people: everything that it loads is there without a key, and it may load nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx2
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.contract.conftest import Service
from tests.support.answers import problem

PREFIXES = ["", "/v1"]
SOURCES = Path(__file__).parents[2] / "app" / "page"
STRICT = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob: data:",
    "media-src": "'self' blob:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
FORBIDDEN = (
    "innerHTML|outerHTML|insertAdjacentHTML|document.write|eval|Function|localStorage|sessionStorage|indexedDB|cookie"
)


@pytest.fixture
def anybody(service: Service) -> httpx2.Client:
    """A client without a key."""
    return service.client()


def loaded_by(text: str) -> list[str]:
    return re.findall(r'(?:src|href)="(page/[^"]+)"', text)


def imported_by(text: str) -> list[str]:
    return re.findall(r'^import .*?from "(\.[^"]+)";', text, re.MULTILINE)


def walk(client: httpx2.Client, path: str, seen: set[str]) -> Iterator[tuple[str, httpx2.Response]]:
    """Yield the page and all scripts and style sheets that it leads to."""
    if path in seen:
        return
    seen.add(path)
    response = client.get(path)
    yield path, response
    for name in [*loaded_by(response.text), *imported_by(response.text)]:
        yield from walk(client, urljoin(path, name), seen)


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_page_and_all_that_it_loads_need_no_key(anybody: httpx2.Client, prefix: str) -> None:
    found = dict(walk(anybody, f"{prefix}/", set()))
    assert {path: response.status_code for path, response in found.items() if response.status_code != 200} == {}
    assert {f"{prefix}/page/{name}" for name in ("style.css", "icon.svg", "main.js", "texts/zh.js")} <= set(found)
    kinds = {Path(path).suffix: response.headers["content-type"].split(";")[0] for path, response in found.items()}
    assert kinds == {"": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def test_the_page_may_load_only_what_the_service_sends(anybody: httpx2.Client) -> None:
    directives = anybody.get("/").headers["content-security-policy"].split("; ")
    assert dict(each.split(" ", 1) for each in directives) == STRICT


def test_the_page_contains_no_script_and_no_style_of_its_own(anybody: httpx2.Client) -> None:
    page = anybody.get("/").text
    assert re.findall(r"<script(?![^>]* src=)|<style| style=| on\w+=|https?:", page) == []


def test_the_sources_make_no_html_of_data_and_keep_nothing() -> None:
    own = [path for path in SOURCES.rglob("*.js") if "vendor" not in path.parts]
    assert len(own) > 10
    assert [path.name for path in own if re.search(rf"\b({FORBIDDEN})\b(?!-)", _code(path))] == []


def _code(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    return re.sub(r"/\*.*?\*/|^\s*//.*$", "", text, flags=re.DOTALL | re.MULTILINE)


def test_a_file_that_the_browser_has_is_not_sent_again(anybody: httpx2.Client) -> None:
    first = anybody.get("/page/main.js")
    again = anybody.get("/page/main.js", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert first.headers.get_list("cache-control") == ["no-cache"]
    assert first.headers.get_list("x-content-type-options") == ["nosniff"]


@pytest.mark.parametrize(
    "path", ["/page/", "/page/parts", "/page/%2e%2e/main.py", "/page/..%2fmain.py", "/page/none.js"]
)
def test_only_the_files_of_the_page_are_served(anybody: httpx2.Client, path: str) -> None:
    problem(anybody.get(path), 404, "not_found")


def test_the_page_can_be_removed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, page=False, _env_file=None)
    client = TestClient(create_app(settings))
    for path in ("/", "/page/main.js"):
        problem(client.get(path), 404, "not_found")
