"""Make the pictures of the page for the documents: `python -m tests.browser.screenshots`."""

import io
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, PATIENCE, photo_file
from tests.support.api import Api
from tests.support.photos import COLLINS_AGAIN, IMAGES, collins, hopper, jpeg, side_by_side
from tests.support.server import Server


def opened(browser: Browser, server: Server, view: str, height: int, **options: Any) -> Page:
    size: Any = {"width": 1200, "height": height}
    context = browser.new_context(viewport=size, reduced_motion="reduce", **options)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(f"{server.url}/#{view}")
    page.wait_for_selector(f"#{view} h1")
    return page


def keep(page: Page, name: str, part: Locator | None = None) -> None:
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(1000)  # fonts and charts
    with Image.open(io.BytesIO(part.screenshot() if part else page.screenshot(full_page=True))) as picture:
        picture.convert("RGB").save(IMAGES / name, quality=88, subsampling=0, optimize=True)


def verify(browser: Browser, server: Server) -> None:
    page = opened(browser, server, "verify", 900, locale="en-GB")
    page.locator(".lead button").click()
    page.wait_for_selector(".verdict-panel")
    page.wait_for_selector(".face-card >> nth=1")
    keep(page, "page-verify.jpg")


def identify(browser: Browser, server: Server) -> None:
    with Api.at(server.url) as api:
        api.enroll("default", "collins", COLLINS_AGAIN)
        api.describe("default", "collins", {"name": "Eileen Collins"})
    page = opened(browser, server, "identify", 750, locale="zh-CN", color_scheme="dark")
    photo = photo_file(jpeg(side_by_side(collins(), hopper())))
    page.locator("#identify input[type=file]").set_input_files(photo)
    page.wait_for_selector(".identified")
    keep(page, "page-identify.jpg")


def system(browser: Browser, server: Server) -> None:
    page = opened(browser, server, "system", 900, locale="en-GB")
    page.wait_for_selector("#system .chart canvas")
    keep(page, "page-system.jpg", page.locator("#system article", has_text="Calibration").last)


def main() -> None:
    executable = next(path for name in CHROMIUM if (path := shutil.which(name)))
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder) / "data") as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=executable, args=FLAGS) as browser,
    ):
        for make in (verify, identify, system):
            make(browser, server)


if __name__ == "__main__":
    main()
