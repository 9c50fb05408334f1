"""A service that requires keys: the page asks for one, and keeps it in the memory of the tab only."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, photo_file
from tests.support.commands import new_keys
from tests.support.photos import COLLINS, COLLINS_AGAIN
from tests.support.server import Server


def give_key(page: Page, key: str) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Use this key").click()


def test_the_page_asks_for_a_key_and_goes_on_with_it(open_page: Open, guarded: Server) -> None:
    (key,) = new_keys(guarded.data_dir, ["--scopes", "verify"])
    page = open_page("verify", at=guarded)
    for place, photo in enumerate((COLLINS, COLLINS_AGAIN)):
        page.locator("#verify input[type=file]").nth(place).set_input_files(photo_file(photo))
    expect(page.locator(".result [role=alert]")).to_contain_text("The service requires an API key.")
    page.locator(".result").get_by_role("button", name="Enter a key").click()
    give_key(page, key)

    expect(page.locator(".verdict")).to_have_text("The same person")
    expect(page.locator(".face-card")).to_have_count(2)
    expect(page.locator("#key")).to_have_text("Key in use")
    page.locator(".snippets summary").click()
    for code in page.locator(".snippets code").all_inner_texts():
        assert "LIKENESS_KEY" in code
        assert key not in code


def test_the_key_is_gone_after_a_reload_and_stored_nowhere(open_page: Open, guarded: Server) -> None:
    (key,) = new_keys(guarded.data_dir, ["--scopes", "admin"])
    page = open_page("gallery", at=guarded)
    expect(page.get_by_role("alert")).to_contain_text("The service requires an API key.")
    page.locator("#key").click()
    give_key(page, key)
    expect(page.locator("#gallery .list")).to_contain_text("Nobody is enrolled in this gallery yet.")
    stored = page.evaluate(
        "[localStorage.length, sessionStorage.length, document.cookie, location.href.includes('key')]"
    )
    assert stored == [0, 0, "", False]
    assert page.evaluate("indexedDB.databases().then((found) => found.length)") == 0
    page.reload()

    expect(page.locator("#key")).to_have_text("API key")
    expect(page.get_by_role("alert")).to_contain_text("The service requires an API key.")


def test_a_right_that_the_key_lacks_is_named(open_page: Open, guarded: Server) -> None:
    (key,) = new_keys(guarded.data_dir, ["--scopes", "verify"])
    page = open_page("gallery", at=guarded)
    page.locator("#key").click()
    give_key(page, key)

    expect(page.locator("#gallery .list [role=alert]")).to_contain_text("Expected a key with the scope 'enroll'.")
