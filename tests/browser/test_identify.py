"""Identify: every face of a photo is named or unknown."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, photo_file
from tests.support.api import Api
from tests.support.photos import COLLINS, COLLINS_AGAIN, collins, hopper, jpeg, side_by_side
from tests.support.server import Server

HOSTILE = "<img src=x onerror=alert(1)>"
"""An id and metadata of others, which must never be read as HTML."""


def search(page: Page, photo: bytes, gallery: str) -> None:
    page.locator("#identify .gallery-choice input").fill(gallery)
    page.locator("#identify .gallery-choice input").blur()
    page.locator("#identify input[type=file]").set_input_files(photo_file(photo))


def test_a_face_is_named_with_its_candidates_and_a_stranger_is_not(open_page: Open, server: Server) -> None:
    with Api.at(server.url) as api:
        api.enroll("identify", HOSTILE, COLLINS_AGAIN)
        api.describe("identify", HOSTILE, {"b": HOSTILE})
    page = open_page("identify")
    search(page, jpeg(side_by_side(collins(), hopper())), "identify")

    faces = page.locator(".identified")
    expect(faces).to_have_count(2)
    named = faces.filter(has_text=HOSTILE)
    expect(named.locator("h2")).to_have_text(HOSTILE)
    expect(named.locator("td")).to_have_count(5)
    expect(named.locator("td").last).to_have_text(f"b: {HOSTILE}")
    expect(faces.filter(has_text="Unknown")).to_contain_text("Nobody in this gallery is within the threshold.")
    assert page.locator("#identify img").count() == 0


def test_a_gallery_that_is_not_there_is_told(open_page: Open) -> None:
    page = open_page("identify")
    search(page, COLLINS, "nowhere")

    expect(page.get_by_role("alert")).to_contain_text("That is not there.")
