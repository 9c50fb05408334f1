"""axe-core finds nothing serious, the keyboard suffices, and nothing is cut from 360 pixels to 4K."""

import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, photo_file
from tests.support.api import Api
from tests.support.photos import COLLINS, COLLINS_AGAIN, NO_FACE
from tests.support.server import Server

VIEWS = ("verify", "identify", "gallery", "groups", "system")
AXE = Path(sys.prefix) / "page" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = {"serious", "critical"}


def fill(page: Page, view: str, server: Server) -> None:
    """Bring the view to where it shows all that it has."""
    if view == "verify":
        page.locator(".lead button").click()
        page.wait_for_selector(".verdict-panel")
        page.locator(".snippets summary").click()
    if view == "identify":
        with Api.at(server.url) as api:
            api.enroll("shown", "ada", COLLINS_AGAIN)
        page.locator("#identify .gallery-choice input").fill("shown")
        page.locator("#identify input[type=file]").set_input_files(photo_file(COLLINS))
        page.wait_for_selector(".identified")
    if view == "gallery":
        with Api.at(server.url) as api:
            api.enroll("shown", "ada", COLLINS_AGAIN)
        page.locator("#gallery .gallery-choice input").fill("shown")
        files = [photo_file(COLLINS, "ada.jpg"), photo_file(NO_FACE, "nobody.jpg")]
        page.locator("#gallery input[type=file]").first.set_input_files(files)
        page.wait_for_selector("[data-state=failed]")
        page.wait_for_selector("[data-state=done]")
    if view == "system":
        page.wait_for_selector("#system .chart canvas")


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists():
        pytest.skip(f"no {AXE}: `make test-slow` installs it with npm")
    return AXE.read_text(encoding="utf-8")


def findings(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)  # the devtools' protocol runs it, whatever the page's policy
    result: dict[str, Any] = page.evaluate("axe.run()")
    return [
        f"{each['id']}: {node['html'][:120]} {node['failureSummary']}"
        for each in result["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("view", VIEWS)
def test_axe_finds_nothing_serious(open_page: Open, server: Server, axe: str, view: str) -> None:
    page = open_page(view, color_scheme="light", reduced_motion="reduce")
    fill(page, view, server)
    light = findings(page, axe)
    page.emulate_media(color_scheme="dark")
    assert (light, findings(page, axe)) == ([], [])


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_wider_than_the_window(open_page: Open, server: Server, view: str) -> None:
    page = open_page(view, width=360)
    fill(page, view, server)
    for width in (360, 3840):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_two_photos_are_verified_with_the_keyboard_alone(open_page: Open) -> None:
    page = open_page("verify")
    _tab_to(page, "Try it with two photos of Eileen Collins")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_have_text("The same person")
    _tab_to(page, "", tag="INPUT")
    before = page.locator(".meaning").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator(".meaning").inner_text() != before


def test_a_dialog_takes_the_focus_and_gives_it_back(open_page: Open) -> None:
    page = open_page("verify")
    _tab_to(page, "API key")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "api-key"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "key"


def test_a_view_that_was_chosen_has_the_focus_and_the_title(open_page: Open) -> None:
    page = open_page("verify")
    _tab_to(page, "System")
    page.keyboard.press("Enter")
    expect(page.locator("#system h1")).to_be_focused()
    expect(page).to_have_title("System · Likeness")
    assert page.locator("nav [aria-current=page]").inner_text() == "System"


def _tab_to(page: Page, words: str, tag: str = "") -> None:
    for _ in range(40):
        page.keyboard.press("Tab")
        found = page.evaluate("[document.activeElement.textContent, document.activeElement.tagName]")
        if (words and found[0].strip() == words) or found[1] == tag:
            return
    raise AssertionError(f"expected to reach {words or tag} with the tabulator key")


def test_the_page_is_there_in_chinese(open_page: Open) -> None:
    page = open_page("verify", locale="zh-CN")
    expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    expect(page.locator("h1")).to_have_text("是同一个人吗？")
    page.get_by_label("语言").select_option("en")
    expect(page.locator("h1")).to_have_text("Is this one person?")
    expect(page.locator("html")).to_have_attribute("lang", "en")


def test_both_languages_have_the_same_texts_and_values(open_page: Open) -> None:
    page = open_page("verify")
    texts: dict[str, list[str]] = page.evaluate(
        """async () => {
          const [{ en }, { zh }] = await Promise.all([import("/page/texts/en.js"), import("/page/texts/zh.js")]);
          const values = (text) => [...new Set(String(text).match(/\\{(\\w+)\\}/g) ?? [])].sort().join();
          const differing = Object.keys(en).filter((key) =>
            typeof en[key] === "string" && typeof zh[key] === "string" && values(en[key]) !== values(zh[key]));
          const missing = (some, all) => Object.keys(all).filter((key) => !(key in some));
          const alone = [...missing(zh, en), ...missing(en, zh)];
          return { differing, alone };
        }"""
    )
    assert texts == {"differing": [], "alone": []}
