"""Health, models, documentation, and the prefix /v1 before every path."""

import re

import httpx2
import pytest

from tests.support.answers import answered, problem, verification
from tests.support.api import Api, part
from tests.support.photos import COLLINS, HOPPER

PREFIXES = ["", "/v1"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/models", "/galleries", "/openapi.json", "/docs"])
@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_page_is_there_with_and_without_a_version(http: httpx2.Client, prefix: str, path: str) -> None:
    response = http.get(prefix + path)
    assert response.status_code == 200, response.text
    assert response.text != ""


def test_a_ready_service_says_so(http: httpx2.Client) -> None:
    assert answered(http.get("/healthz")) == {"status": "alive"}
    assert answered(http.get("/readyz")) == {"status": "ready", "erasures_pending": 0}


@pytest.mark.parametrize("path", ["/v1", "/v1/v1", "/v1/v1/healthz", "/v1x/healthz", "/v11/healthz", "/V1/healthz"])
def test_only_one_prefix_is_known(http: httpx2.Client, path: str) -> None:
    problem(http.get(path), 404, "not_found")


def test_a_trailing_slash_is_another_path_and_no_redirect(http: httpx2.Client) -> None:
    assert problem(http.get("/healthz/"), 404, "not_found")["detail"] == "no route /healthz/"


def test_the_models_are_the_one_that_answers_and_the_detector_with_the_provider_in_use(api: Api) -> None:
    model = verification(api.verify(HOPPER, COLLINS))["model"]
    embedder, detector = answered(api.http.get("/models"))["models"]
    assert (embedder["id"], embedder["digest"], embedder["kind"]) == (model["id"], model["digest"], "embedder")
    assert (detector["id"], detector["kind"]) == ("mtcnn", "mtcnn")
    assert {embedder["provider"], detector["provider"]} <= {"cpu", "cuda", "tensorrt"}
    assert (embedder["calibrated"], detector["calibrated"]) == (True, False)
    assert "rates" not in embedder


def test_the_calibration_has_the_default_threshold(api: Api) -> None:
    answer = verification(api.verify(HOPPER, COLLINS))
    calibration = answered(api.http.get(f"/models/{answer['model']['id']}/calibration"))
    assert calibration["model"] == answer["model"]["digest"]
    assert answer["threshold"]["base"] in [rate["threshold"] for rate in calibration["rates"]]
    assert calibration["data"]["name"] == answer["threshold"]["calibrated_on"]


@pytest.mark.parametrize("model", ["mtcnn", "nobody"])
def test_a_model_without_a_calibration_has_none_to_show(http: httpx2.Client, model: str) -> None:
    problem(http.get(f"/models/{model}/calibration"), 404, "not_found")


@pytest.mark.parametrize(("path", "names"), [("/verify", ["image1", "image2"]), ("/detect", ["image"])])
def test_the_version_prefix_gives_the_same_answer(http: httpx2.Client, path: str, names: list[str]) -> None:
    files = [part(name, HOPPER) for name in names]
    plain, versioned = (answered(http.post(prefix + path, files=files)) for prefix in PREFIXES)
    assert plain["faces"] == versioned["faces"]
    assert plain["faces"] != []


def test_the_version_prefix_reaches_the_same_gallery(api: Api, gallery: str) -> None:
    http = api.http
    faces = f"/galleries/{gallery}/subjects/hopper/faces"
    answered(http.post(f"/v1{faces}", files=[part("image", HOPPER)]), 201)
    (face,) = answered(http.post("/v1/identify", files=[part("image", HOPPER)], data={"gallery": gallery}))["faces"]
    assert face["candidates"] == api.candidates(HOPPER, gallery)
    assert face["identified"] is True
    assert http.delete(f"/v1/galleries/{gallery}").is_success
    assert http.get(f"/galleries/{gallery}").status_code == 404


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_documentation_and_all_that_it_loads_are_there(http: httpx2.Client, prefix: str) -> None:
    page = http.get(f"{prefix}/docs")
    script = http.get("/docs/start.js").text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text) + re.findall(r'url: "([^"]+)"', script)
    assert page.headers["content-type"].startswith("text/html")
    assert sorted(loaded) == ["docs/start.js", "docs/swagger-ui-bundle.js", "docs/swagger-ui.css", "openapi.json"]
    assert [http.get(f"{prefix}/{name}").status_code for name in loaded] == [200] * 4


def test_the_documentation_may_load_nothing_from_elsewhere_and_be_framed_by_nobody(http: httpx2.Client) -> None:
    policy = http.get("/docs").headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["/docs/%2e%2e/pyproject.toml", "/docs/redoc.standalone.js"])
def test_only_the_files_of_the_documentation_are_served(http: httpx2.Client, path: str) -> None:
    assert http.get(path).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/healthz",
        "/readyz",
        "/models",
        "/galleries",
        "/galleries/default",
        "/openapi.json",
        "/docs",
        "/docs/start.js",
        "/",
    ],
)
@pytest.mark.parametrize("prefix", PREFIXES)
def test_head_has_the_headers_of_get_and_no_body(http: httpx2.Client, prefix: str, path: str) -> None:
    get, head = http.get(prefix + path), http.head(prefix + path)
    assert (head.status_code, head.content) == (200, b"")
    assert [head.headers[name] for name in ("content-type", "content-length")] == [
        get.headers[name] for name in ("content-type", "content-length")
    ]


@pytest.mark.parametrize(("path", "status"), [("/galleries/nobody", 404), ("/nowhere", 404), ("/verify", 405)])
def test_head_has_the_status_of_get(http: httpx2.Client, path: str, status: int) -> None:
    response = http.head(path)
    assert (response.status_code, response.content) == (status, b"")
    assert http.get("/models").status_code == 200


def test_the_allowed_methods_name_head_beside_get(http: httpx2.Client) -> None:
    assert http.post("/models").headers["allow"] == "GET, HEAD"
    assert http.get("/verify").headers["allow"] == "POST"
