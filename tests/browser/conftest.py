"""A real Chromium and a real server. After each test the console must be empty, and nothing may have been refused."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, Playwright, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.support.photos import HOPPER
from tests.support.server import Server

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60_000
"""Milliseconds: the machine may be busy with something else."""
FLAGS = [
    "--no-sandbox",  # which root, as in a container, cannot use
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
REFUSED = "Failed to load resource"
"""Chromium writes this for each answer of 4xx, which tests of errors expect."""


@dataclass
class Watched:
    """A page, and what it wrote and asked for."""

    page: Page
    url: str
    messages: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def check(self) -> None:
        assert self.messages == []
        assert self.page.evaluate("window.violations") == []
        strangers = [url for url in self.requested if not url.startswith((self.url, "data:", "blob:"))]
        assert strangers == []


expect.set_options(timeout=PATIENCE)
Open = Callable[..., Page]


def photo_file(photo: bytes, name: str = "photo.jpg") -> FilePayload:
    """Return a photo as a file input takes it."""
    return {"name": name, "mimeType": "image/jpeg", "buffer": photo}


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def chromium() -> str:
    found = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no {' or '.join(CHROMIUM)} here: `apt-get install chromium`")
    return found


@pytest.fixture(scope="package")
def browser(chromium: str, playwright: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium whose camera sees Grace Hopper."""
    camera = tmp_path_factory.mktemp("camera") / "hopper.mjpeg"
    camera.write_bytes(HOPPER * 2)
    flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
    with playwright.chromium.launch(executable_path=chromium, args=flags) as launched:
        yield launched


@pytest.fixture(scope="package")
def server(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: ARG001
    """A server without keys; none is started where there is no Chromium."""
    with Server(tmp_path_factory.mktemp("page") / "data") as started:
        yield started


@pytest.fixture(scope="package")
def guarded(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:  # noqa: ARG001
    """A server that requires keys."""
    with Server(tmp_path_factory.mktemp("guarded") / "data", LIKENESS_AUTH="on") as started:
        yield started


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[Open]:
    """Return a function that opens a view of the page: `open_page("verify", width=360)`."""
    opened: list[tuple[BrowserContext, Watched]] = []

    def open_view(view: str, *, width: int = 1280, at: Server = server, **options: Any) -> Page:
        chosen = {"locale": "en-GB", "viewport": {"width": width, "height": 900}, **options}
        context = browser.new_context(**chosen)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        watched = Watched(page, at.url)
        opened.append((context, watched))
        page.add_init_script(WATCH)
        page.on("pageerror", lambda error: watched.messages.append(str(error)))
        page.on("request", lambda request: watched.requested.append(request.url))
        page.on("requestfailed", lambda request: watched.failed.append(f"{request.url}: {request.failure}"))
        page.on("console", lambda said: _keep(watched, said.type, said.text))
        page.goto(f"{at.url}/#{view}")
        try:
            page.wait_for_selector(f"#{view} h1")
        except PlaywrightTimeout:
            pytest.fail(f"no view {view!r}: {page.content()}\n{watched}")
        return page

    yield open_view
    try:
        for _, watched in opened:
            watched.check()
    finally:
        for context, _ in opened:
            context.close()


def _keep(watched: Watched, kind: str, text: str) -> None:
    if kind in {"error", "warning"} and not text.startswith(REFUSED):
        watched.messages.append(f"{kind}: {text}")
