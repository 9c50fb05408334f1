"""Ids in the path may contain any characters, and every route also exists under /v1."""

import re
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

IDS = ["a/b", "/", "a//b/", "..a", "a%2Fb", "100%", "a+b c", "?x=1#y", "Žofie", "\u202eabc", "a;b=c", "v1/verify", "~"]


def url(gallery: str, subject: str) -> str:
    return f"/galleries/{quote(gallery, safe='')}/subjects/{quote(subject, safe='')}"


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("subject", IDS)
def test_id_with_any_characters_is_returned_unchanged(
    client: TestClient, gallery: str, subject: str, prefix: str
) -> None:
    made = client.put(prefix + url(gallery, subject), json={"metadata": {"n": 1}})
    faces = client.get(prefix + url(gallery, subject) + "/faces")
    listed = client.get(f"{prefix}/galleries/{gallery}/subjects").json()["subjects"]

    assert (made.status_code, made.json()["subject_id"]) == (201, subject)
    assert faces.json() == {"faces": []}
    assert [each["subject_id"] for each in listed] == [subject]
    assert client.delete(prefix + url(gallery, subject)).status_code == 204


def test_gallery_id_may_contain_a_slash(client: TestClient) -> None:
    assert client.put("/galleries/a%2Fb").json()["id"] == "a/b"
    assert client.put("/v1/galleries/a%2Fb").status_code == 200
    assert client.delete("/galleries/a%2Fb").status_code == 204


@pytest.mark.parametrize("raw", ["%FF", "%C3%28", "%ED%A0%80", "%00", "a%0Ab", "%7F"])
def test_id_that_is_not_text_is_an_invalid_request(client: TestClient, gallery: str, raw: str) -> None:
    response = client.put(f"/galleries/{gallery}/subjects/{raw}", json={})

    assert (response.status_code, response.json()["code"]) == (422, "invalid_request")
    assert response.json()["errors"][0]["field"] == "subject"


def test_subject_id_may_look_like_a_route(client: TestClient, gallery: str) -> None:
    assert client.put(url(gallery, "s/faces"), json={}).json()["subject_id"] == "s/faces"
    assert client.get(url(gallery, "s") + "/faces").status_code == 404


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/v1/healthz", "/v1x/healthz", "/v11/healthz", "/V1/healthz"])
def test_only_one_prefix_v1_is_removed(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_trailing_slash_is_another_path_without_redirect(client: TestClient) -> None:
    response = client.get("/healthz/", follow_redirects=False)

    assert (response.status_code, response.json()["detail"]) == (404, "no route /healthz/")


def test_problem_under_the_prefix_has_the_requested_path(client: TestClient) -> None:
    assert client.get("/v1/galleries/a%2Fb").json()["instance"] == "/v1/galleries/a%2Fb"


@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_documentation_and_its_files_are_served_under_each_prefix(client: TestClient, prefix: str) -> None:
    page = client.get(f"{prefix}/docs").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page) + re.findall(
        r'url: "([^"]+)"', client.get("/docs/start.js").text
    )

    assert sorted(loaded) == ["docs/start.js", "docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "openapi.json"]
    assert [client.get(f"{prefix}/{name}").status_code for name in loaded] == [200] * 4


def test_documentation_forbids_foreign_content_and_framing(client: TestClient) -> None:
    headers = client.get("/docs").headers

    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]


def test_other_files_are_not_served(client: TestClient) -> None:
    assert client.get("/docs/%2e%2e/pyproject.toml").status_code == 404
    assert client.get("/docs/redoc.standalone.js").status_code == 404


def test_openapi_is_independent_of_the_prefix(client: TestClient) -> None:
    paths = [client.get(f"{prefix}/openapi.json").json()["paths"].keys() for prefix in ("/v1", "", "/v1")]

    assert paths[0] == paths[1] == paths[2]
