"""Gallery: enrol many photos, find people, look at one, export and erase."""

import json
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.support.api import Api
from tests.support.photos import COLLINS, COLLINS_AGAIN, HOPPER, NO_FACE, base64_of
from tests.support.server import Server

HOSTILE = "<b onclick=alert(1)>'\"&amp; ../x"


def choose(page: Page, gallery: str) -> None:
    field = page.locator("#gallery .gallery-choice input")
    field.fill(gallery)
    field.blur()


def rows(page: Page) -> list[str]:
    return page.locator("#gallery .list tbody tr td:first-child").all_inner_texts()


def test_a_folder_is_enrolled_and_each_file_has_its_result(open_page: Open, server: Server, tmp_path: Path) -> None:
    files = {"ada/1.jpg": COLLINS, "ada/2.jpg": COLLINS_AGAIN, "grace/1.jpg": HOPPER, "grace/2.jpg": NO_FACE}
    for name, photo in files.items():
        path = tmp_path / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
    page = open_page("gallery")
    choose(page, "folder")
    page.get_by_label("Consent reference").fill("form 7")
    page.locator("#gallery input[webkitdirectory]").set_input_files(tmp_path / "people")

    expect(page.locator("[data-state=done]")).to_have_count(3)
    expect(page.locator("[data-state=failed]")).to_contain_text("No face was found.")
    expect(page.locator(".enrol [role=status]")).to_have_text("3 of 4 enrolled, 1 not.")
    expect(page.locator("#gallery .list tbody tr")).to_have_count(2)
    assert rows(page) == ["ada", "grace"]
    with Api.at(server.url) as api:
        assert len(api.face_ids("folder", "ada")) == 2
        assert api.http.get("/galleries/folder/subjects/ada").json()["consent"] == "form 7"

    page.locator("[data-state=failed]").get_by_role("button", name="Try again").click()
    expect(page.locator("[data-state=failed]")).to_contain_text("No face was found.")


def test_a_dropped_photo_is_enrolled_under_the_id_that_was_typed(open_page: Open, server: Server) -> None:
    page = open_page("gallery")
    choose(page, "dropped")
    page.get_by_label("Who is on the photos?").fill(HOSTILE)
    page.evaluate(
        """(base64) => {
          const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "<i>.jpg", { type: "image/jpeg" }));
          const event = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: data });
          document.querySelector(".zone").dispatchEvent(event);
        }""",
        base64_of(COLLINS),
    )

    expect(page.locator("[data-state=done]")).to_have_count(1)
    expect(page.locator("#gallery .list tbody tr")).to_have_count(1)
    assert rows(page) == [HOSTILE]
    assert page.locator("#gallery b").count() == 0
    with Api.at(server.url) as api:
        assert list(api.subject_pages("dropped", 10)) == [[HOSTILE]]


def test_people_are_paged_and_searched(open_page: Open, server: Server) -> None:
    with Api.at(server.url) as api:
        for number in range(60):
            api.describe("paged", f"p{number:02}", {"team": "red" if number == 41 else "blue"})
    page = open_page("gallery")
    choose(page, "paged")

    expect(page.locator("#gallery .list tbody tr")).to_have_count(25)
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("p25")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#gallery .list tbody tr")).to_have_count(10)
    page.get_by_role("button", name="Previous").click()
    expect(page.get_by_text("p25")).to_be_visible()
    page.get_by_label("Search").fill("RED")
    expect(page.locator("#gallery .list tbody tr")).to_have_count(1)
    assert rows(page) == ["p41"]
    page.get_by_label("Search").fill("nobody")
    expect(page.locator("#gallery .list")).to_contain_text("Nobody matches this search.")


def test_a_person_is_exported_looked_at_and_erased(open_page: Open, server: Server) -> None:
    with Api.at(server.url) as api:
        api.enroll("erased", "ada", COLLINS)
    page = open_page("gallery")
    choose(page, "erased")
    page.get_by_role("button", name="Open ada").click()
    dialog = page.get_by_role("dialog").first
    with page.expect_download() as download:
        dialog.get_by_role("button", name="Export").click()
    assert json.loads(download.value.path().read_text())["subject_id"] == "ada"
    dialog.get_by_text("History").click()
    first = dialog.locator("details tbody tr").first
    expect(first.locator("td").nth(1)).to_have_text("face.enroll")
    expect(first.locator("td").nth(2)).to_contain_text("127.0.0.")

    dialog.get_by_role("button", name="Erase", exact=True).click()
    question = page.get_by_role("dialog").last
    expect(question).to_contain_text("erases ada and 1 face for good")
    question.get_by_role("button", name="Cancel").click()
    with Api.at(server.url) as api:
        assert api.face_ids("erased", "ada")
    dialog.get_by_role("button", name="Erase", exact=True).click()
    page.get_by_role("dialog").last.get_by_role("button", name="Erase", exact=True).click()

    expect(page.locator(".told")).to_have_text("ada was erased.")
    expect(page.locator("#gallery .list")).to_contain_text("Nobody is enrolled in this gallery yet.")


def test_a_person_is_renamed(open_page: Open, server: Server) -> None:
    with Api.at(server.url) as api:
        api.enroll("renamed", "ada", COLLINS)
    page = open_page("gallery")
    choose(page, "renamed")
    page.get_by_role("button", name="Open ada").click()
    page.get_by_role("button", name="Rename").click()
    question = page.get_by_role("dialog").last
    question.get_by_label("New id").fill(HOSTILE)
    question.get_by_role("button", name="Rename").click()

    expect(page.locator(".told")).to_have_text(f"Renamed to {HOSTILE}.")
    expect(page.get_by_role("button", name="Open ada")).to_have_count(0)
    assert rows(page) == [HOSTILE]


def test_two_people_are_merged(open_page: Open, server: Server) -> None:
    with Api.at(server.url) as api:
        api.enroll("merged", "ada", COLLINS)
        api.enroll("merged", "eileen", COLLINS_AGAIN)
    page = open_page("gallery")
    choose(page, "merged")
    page.get_by_role("button", name="Open ada").click()
    page.get_by_role("button", name="Merge").click()
    question = page.get_by_role("dialog").last
    question.get_by_label("Id of the other").fill("eileen")
    question.get_by_role("button", name="Merge").click()

    expect(page.locator(".told")).to_have_text("Merged into ada.")
    expect(page.locator("#gallery .list tbody tr")).to_have_count(1)
    with Api.at(server.url) as api:
        assert len(api.face_ids("merged", "ada")) == 2


def test_one_face_is_erased(open_page: Open, server: Server) -> None:
    with Api.at(server.url) as api:
        api.enroll("face", "ada", COLLINS, COLLINS_AGAIN)
    page = open_page("gallery")
    choose(page, "face")
    page.get_by_role("button", name="Open ada").click()
    page.get_by_role("button", name="Erase this face").first.click()
    page.get_by_role("dialog").last.get_by_role("button", name="Erase this face").click()

    expect(page.locator(".told")).to_have_text("One face of ada was erased.")
    with Api.at(server.url) as api:
        assert len(api.face_ids("face", "ada")) == 1


def test_a_gallery_is_erased(open_page: Open, server: Server) -> None:
    with Api.at(server.url) as api:
        api.describe("whole", "ada", {})
    page = open_page("gallery")
    choose(page, "whole")
    page.get_by_role("button", name="Erase the gallery").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase the gallery").click()

    expect(page.locator(".told")).to_have_text("The gallery whole was erased.")
    with Api.at(server.url) as api:
        assert api.http.get("/galleries/whole").status_code == 404
