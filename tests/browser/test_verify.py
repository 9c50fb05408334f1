"""Verify: two photos, the verdict, the gauge, the slider, and the commands that do the same."""

import json
import re
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, photo_file
from tests.support.api import Api
from tests.support.photos import COLLINS, COLLINS_AGAIN, HOPPER, NO_FACE, base64_of, hopper, jpeg
from tests.support.server import Server

FILES = "#verify input[type=file]"


def give(page: Page, *photos: bytes, names: tuple[str, ...] = ("a.jpg", "b.jpg")) -> None:
    for place, (photo, name) in enumerate(zip(photos, names, strict=False)):
        give_one(page, place, photo, name)


def give_one(page: Page, place: int, photo: bytes, name: str) -> None:
    page.locator(FILES).nth(place).set_input_files(photo_file(photo, name))


def threshold_shown(page: Page) -> float:
    found = re.search(r"(?:within|beyond) (\d\.\d+)", page.locator(".meaning").inner_text())
    assert found
    return float(found[1])


def test_two_photos_of_one_person_match_and_the_rates_are_told(open_page: Open) -> None:
    page = open_page("verify")
    give(page, COLLINS, COLLINS_AGAIN)

    expect(page.locator(".verdict")).to_have_text("The same person")
    expect(page.locator(".meaning")).to_contain_text("one in 10,000 pairs of strangers")
    expect(page.locator(".meaning")).to_contain_text("3.3%")
    expect(page.locator(".face-card")).to_have_count(2)
    expect(page.locator(".face-card .crop").first).to_be_visible()
    expect(page.locator(".chart canvas")).to_be_visible()


def test_photos_of_two_people_do_not_match(open_page: Open) -> None:
    page = open_page("verify")
    give(page, COLLINS, HOPPER)

    expect(page.locator(".verdict")).to_have_text("Different people")
    expect(page.locator(".meaning")).to_contain_text("beyond")


def test_the_slider_moves_the_threshold_to_where_the_service_would_put_it(open_page: Open, server: Server) -> None:
    page = open_page("verify")
    give(page, COLLINS, COLLINS_AGAIN)
    slider = page.locator("#verify .slider input")
    slider.focus()

    with Api.at(server.url) as api:
        for key, fmr in (("Home", 0.01), ("ArrowRight", 0.005), ("End", None)):
            slider.press(key)
            shown = threshold_shown(page)
            fields = re.search(r"fmr=([\d.e-]+)", page.locator(".snippets code").first.text_content() or "")
            assert fields
            asked = float(fields[1])
            assert fmr in {asked, None}
            answer = api.verify(COLLINS, COLLINS_AGAIN, fmr=asked).json()
            assert round(answer["threshold"]["distance"], 2) == shown
    assert slider.get_attribute("aria-valuetext")


def test_the_commands_give_the_answer_of_the_page(open_page: Open, tmp_path: Path) -> None:
    names = ("it's 1.jpg", 'a "b"; c.jpg')
    for name, photo in zip(names, (COLLINS, COLLINS_AGAIN), strict=True):
        (tmp_path / name).write_bytes(photo)
    page = open_page("verify")
    give(page, COLLINS, COLLINS_AGAIN, names=names)
    page.locator(".snippets summary").click()
    curl, python = (page.locator(".snippets code").nth(index).inner_text() for index in (0, 1))

    answer = json.loads(run(tmp_path, "sh", "-c", f"{curl} --silent"))
    assert answer["match"] is True
    assert run(tmp_path, sys.executable, "-c", python).startswith(f"True {answer['distance']}")


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_command_is_copied(open_page: Open) -> None:
    page = open_page("verify", permissions=["clipboard-read", "clipboard-write"])
    give(page, COLLINS, COLLINS_AGAIN)
    page.locator(".snippets summary").click()
    page.get_by_role("button", name="Copy").first.click()

    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("curl")


def test_a_photo_without_a_face_is_told_with_what_to_do(open_page: Open) -> None:
    page = open_page("verify")
    give(page, COLLINS, NO_FACE)

    expect(page.get_by_role("alert")).to_contain_text("No face was found.")
    expect(page.get_by_role("alert")).to_contain_text("Use a photo in which the face looks at the camera")
    expect(page.locator(".slot").nth(1)).to_contain_text("No face was found in this photo.")


def test_a_file_that_is_no_photo_is_told(open_page: Open) -> None:
    page = open_page("verify")
    give(page, b"not a photo", COLLINS)

    expect(page.get_by_role("alert").first).to_contain_text("This")
    expect(page.get_by_role("alert").first).to_contain_text("Open the file with another program")


def test_a_photo_that_lies_on_its_side_is_told(open_page: Open) -> None:
    page = open_page("verify")
    give(page, jpeg(hopper().rotate(90, expand=True)), HOPPER)

    expect(page.locator(".slot").first).to_contain_text("The photo was turned by 90° to find it.")
    expect(page.locator(".verdict")).to_have_text("The same person")


def test_a_service_that_judges_liveness_is_asked(open_page: Open, tmp_path: Path) -> None:
    with Server(tmp_path / "data", LIKENESS_LIVENESS="on") as judging:
        page = open_page("verify", at=judging)
        give(page, COLLINS, COLLINS_AGAIN)
        expect(page.locator(".slot").first).to_contain_text("It looks live (")


def test_photos_are_taken_from_a_drop_and_from_the_clipboard(open_page: Open) -> None:
    page = open_page("verify")
    send_event(page, ".slot", "drop", COLLINS)
    expect(page.locator(".face-card")).to_have_count(1)
    send_event(page, "body", "paste", COLLINS_AGAIN)

    expect(page.locator(".verdict")).to_have_text("The same person")


def send_event(page: Page, target: str, kind: str, photo: bytes) -> None:
    page.evaluate(
        """async ([target, kind, base64]) => {
          const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
          const data = new DataTransfer();
          data.items.add(new File([bytes], "given.jpg", { type: "image/jpeg" }));
          const options = { bubbles: true, cancelable: true };
          const event = kind === "drop"
            ? new DragEvent(kind, { ...options, dataTransfer: data })
            : new ClipboardEvent(kind, { ...options, clipboardData: data });
          document.querySelector(target).dispatchEvent(event);
        }""",
        [target, kind, base64_of(photo)],
    )


def test_a_photo_is_taken_with_the_camera(open_page: Open) -> None:
    page = open_page("verify")
    page.get_by_role("button", name="Camera").first.click()
    page.get_by_role("button", name="Take the photo").click()

    expect(page.get_by_role("dialog")).to_have_count(0)
    give_one(page, 1, HOPPER, "b.jpg")
    expect(page.locator(".verdict")).to_have_text("The same person")


def test_a_camera_that_is_refused_is_told(open_page: Open) -> None:
    page = open_page("verify")
    page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('denied')); }")
    page.get_by_role("button", name="Camera").first.click()

    expect(page.get_by_role("alert")).to_contain_text("Allow the camera in the browser")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
