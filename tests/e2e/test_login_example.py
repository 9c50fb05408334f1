"""The site of docs/examples/login, started by the commands of docs/login.md, before a service with keys."""

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import httpx2
import pytest

from app.api.problems import PROBLEM_TYPES
from app.client import Client
from tests.support.commands import eventually, ran
from tests.support.photos import COLLINS, HOPPER, HOPPER_AGAIN, NO_FACE, collins, hopper, jpeg, on_a_wall, side_by_side
from tests.support.server import REPOSITORY, Server, environment, free_port

EXAMPLE = REPOSITORY / "docs" / "examples" / "login"
PAGE = (REPOSITORY / "docs" / "login.md").read_text()
PRINT = jpeg(on_a_wall(hopper()))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    data_dir = tmp_path_factory.mktemp("login") / "data"
    (command,) = re.findall(r"LIKENESS_KEY=\$\(\S*likeness (.*)\)$", PAGE, re.MULTILINE)
    key = ran(data_dir, *shlex.split(command)).strip()
    with Server(data_dir, LIKENESS_LIVENESS="on") as server:
        yield server, key


@contextmanager
def started(server: Server, key: str, **settings: str) -> Iterator[httpx2.Client]:
    """Start the site with these settings of its own, and yield a browser on it."""
    (command,) = re.findall(r"^LOGIN_HTTPS=off \.venv/bin/uvicorn (.*)$", PAGE, re.MULTILINE)
    port = free_port()
    own = {"LIKENESS_URL": server.url, "LIKENESS_KEY": key, "LOGIN_SECRET": "s" * 32, "LOGIN_HTTPS": "off", **settings}
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", *shlex.split(command.replace("8080", str(port)))],
        cwd=REPOSITORY,
        env={**environment(Path(), **own), "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert eventually(lambda: process.poll() is not None or answers(port), within=60)
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as browser:
            yield browser
    finally:
        process.terminate()
        process.wait(10)


def answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@pytest.fixture(scope="module")
def site(service: tuple[Server, str]) -> Iterator[httpx2.Client]:
    with started(*service) as browser:
        yield browser


@pytest.fixture
def browser(site: httpx2.Client) -> httpx2.Client:
    """Nobody is signed in."""
    site.cookies.clear()
    return site


def sent(browser: httpx2.Client, path: str, name: str, photo: bytes, **fields: str) -> tuple[int, str]:
    """Return the status, and the code of a refusal or the name of who is signed in."""
    response = browser.post(path, data={"name": name, **fields}, files={"photo": ("p.jpg", photo)})
    answer = response.json()
    assert answer["message"].endswith(".")
    return response.status_code, answer.get("code") or browser.get("/me").json()["name"]


def test_an_account_from_consent_to_erasure(browser: httpx2.Client, service: tuple[Server, str]) -> None:
    server, key = service
    assert sent(browser, "/register", "grace", HOPPER) == (422, "no_consent")
    assert sent(browser, "/register", "grace", HOPPER, consent="given") == (200, "grace")
    with Client(server.url, key=key) as likeness:
        subject = likeness.subject("login", "grace")
        assert (subject.consent or "").startswith("consent-")
        assert subject.expires_at
        assert sent(browser, "/register", "grace", COLLINS, consent="given") == (409, "subject_exists")
        assert [each for each in likeness.subjects("login") if each.subject_id.startswith("new-")] == []
        assert likeness.subject("login", "grace").faces == 1

        browser.post("/logout")
        assert browser.get("/me").json() == {"name": None}
        assert sent(browser, "/login", "grace", COLLINS) == (401, "no_match")
        assert browser.get("/me").json() == {"name": None}
        assert sent(browser, "/login", "grace", HOPPER_AGAIN) == (200, "grace")
        assert browser.post("/withdraw").json() == {"message": "Your face is erased."}
        assert browser.get("/me").json() == {"name": None}
        assert "grace" not in [each.subject_id for each in likeness.subjects("login")]


def test_an_unknown_name_is_answered_as_a_wrong_face(browser: httpx2.Client) -> None:
    sent(browser, "/register", "known", HOPPER, consent="given")
    known, unknown = (
        browser.post("/login", data={"name": name}, files={"photo": ("p.jpg", COLLINS)})
        for name in ("known", "unknown")
    )
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    assert (known.status_code, known.json()["code"]) == (401, "no_match")


@pytest.mark.parametrize(
    ("photo", "code"),
    [
        (NO_FACE, "face_not_found"),
        (jpeg(side_by_side(hopper(), collins())), "multiple_faces"),
        (b"no picture", "invalid_image"),
    ],
)
def test_a_picture_that_cannot_be_used_is_told(browser: httpx2.Client, photo: bytes, code: str) -> None:
    sent(browser, "/register", "known", HOPPER, consent="given")
    assert sent(browser, "/register", "ada", photo, consent="given") == (422, code)
    assert sent(browser, "/login", "known", photo) == (422, code)
    assert sent(browser, "/register", "No Name", HOPPER, consent="given") == (422, "bad_name")


def test_the_cookie_is_signed_and_bound_to_the_site(browser: httpx2.Client) -> None:
    response = browser.post(
        "/register", data={"name": "cookie", "consent": "given"}, files={"photo": ("p.jpg", HOPPER)}
    )
    cookie = response.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    forged = browser.cookies["session"][::-1]
    assert browser.get("/me", headers={"Cookie": f"session={forged}"}).json() == {"name": None}
    refused = browser.post("/logout", headers={"Sec-Fetch-Site": "cross-site"})
    assert (refused.status_code, refused.json()["code"]) == (403, "other_site")


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"LIKENESS_KEY": "lk_wrong"}, "unauthorized"), ({"LIKENESS_URL": "http://127.0.0.1:9"}, "unreachable")],
)
def test_what_only_the_operator_can_cure_is_a_sentence_too(
    service: tuple[Server, str], settings: dict[str, str], code: str
) -> None:
    with started(*service, **settings) as browser:
        assert sent(browser, "/login", "ada", HOPPER) == (503, code)


def test_a_picture_of_a_picture_gives_a_notice_or_is_refused(
    browser: httpx2.Client, service: tuple[Server, str]
) -> None:
    sent(browser, "/register", "live", HOPPER, consent="given")
    notices = [
        browser.post("/login", data={"name": "live"}, files={"photo": ("p.jpg", photo)}).json()["notice"]
        for photo in (HOPPER, PRINT)
    ]
    assert notices[0] is None
    assert "picture of a picture" in notices[1]
    with started(*service, LOGIN_LIVENESS="require") as strict:
        assert sent(strict, "/login", "live", PRINT) == (422, "spoof_suspected")


def test_the_rate_is_that_of_the_site(browser: httpx2.Client, service: tuple[Server, str]) -> None:
    sent(browser, "/register", "rated", HOPPER, consent="given")
    with started(*service, LOGIN_FMR="1e-9") as too_fine:
        assert sent(too_fine, "/login", "rated", HOPPER) == (503, "unsupported_operating_point")


def test_every_problem_of_the_service_has_a_sentence() -> None:
    (texts,) = (
        node.value
        for node in ast.parse((EXAMPLE / "messages.py").read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TEXTS"
    )
    assert isinstance(texts, ast.Dict)
    told = {ast.literal_eval(key) for key in texts.keys if key}
    assert set(PROBLEM_TYPES) - told == {"not_found"}  # answered as a face that does not match


def test_it_is_fifty_lines() -> None:
    source = (EXAMPLE / "main.py").read_text()
    others = {
        number
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        for number in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    code = [number for number, line in enumerate(source.splitlines(), 1) if line.strip() and number not in others]
    assert len(code) <= 50
