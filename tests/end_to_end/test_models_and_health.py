"""What runs here, is it well, and where is it described?"""

import re

import pytest

from .contract import answered, problem, verification
from .likeness import part
from .photos import HOPPER_JPEG, collins, jpeg

HOPPER, COLLINS = HOPPER_JPEG.read_bytes(), jpeg(collins())
PATHS = {
    "/verify": {"post"},
    "/identify": {"post"},
    "/detect": {"post"},
    "/embed": {"post"},
    "/galleries": {"get"},
    "/galleries/{}": {"get", "put", "delete"},
    "/galleries/{}/subjects": {"get"},
    "/galleries/{}/subjects/{}": {"get", "put", "delete"},
    "/galleries/{}/subjects/{}/faces": {"get", "post"},
    "/galleries/{}/subjects/{}/faces/{}": {"delete"},
    "/galleries/{}/subjects/{}/verify": {"post"},
    "/models": {"get"},
    "/models/{}/calibration": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
}


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/models", "/galleries", "/openapi.json", "/docs"])
@pytest.mark.parametrize("prefix", ["", "/v1"])
def test_what_can_be_read_is_there_with_and_without_a_version(http, prefix, path):
    response = http.get(prefix + path)
    assert response.status_code == 200, response.text
    assert response.text != ""


def test_models_lists_the_model_that_answers_and_the_provider_in_use(http, likeness):
    model = verification(likeness.verify(HOPPER, COLLINS))["model"]
    embedder, detector = answered(http.get("/models"))["models"]
    assert (embedder["id"], embedder["digest"], embedder["kind"]) == (model["id"], model["digest"], "embedder")
    assert (detector["id"], detector["kind"]) == ("mtcnn", "mtcnn")
    assert {embedder["provider"], detector["provider"]} <= {"cpu", "cuda", "tensorrt"}
    assert (embedder["calibrated"], detector["calibrated"]) == (True, False)


def test_the_calibration_has_the_default_threshold(http, likeness):
    answer = verification(likeness.verify(HOPPER, COLLINS))
    calibration = answered(http.get(f"/models/{answer['model']['id']}/calibration"))
    assert calibration["model"] == answer["model"]["digest"]
    assert answer["threshold"]["distance"] in [rate["threshold"] for rate in calibration["rates"]]
    assert calibration["data"]["name"] == answer["threshold"]["calibrated_on"]


def test_a_model_without_a_calibration_has_none_to_show(http):
    problem(http.get("/models/mtcnn/calibration"), 404, "not_found")
    problem(http.get("/models/nobody/calibration"), 404, "not_found")


def test_the_description_names_every_route(http):
    described = http.get("/openapi.json").json()["paths"]
    found = {re.sub(r"\{[^}]*\}", "{}", path.removeprefix("/v1")): set(item) for path, item in described.items()}
    missing = {path: methods - found.get(path, set()) for path, methods in PATHS.items()}
    assert {path: methods for path, methods in missing.items() if methods} == {}


def test_the_description_tells_of_uploads_and_of_json(http):
    described = http.get("/openapi.json").json()["paths"]
    content = (described.get("/verify") or described["/v1/verify"])["post"]["requestBody"]["content"]
    assert content.keys() >= {"multipart/form-data", "application/json"}


def test_the_documentation_is_a_page(http):
    response = http.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    assert "swagger" in response.text.lower()


@pytest.mark.parametrize(("path", "names"), [("/verify", ["image1", "image2"]), ("/detect", ["image"])])
def test_the_version_prefix_gives_the_same_answer(http, path, names):
    plain, versioned = (
        answered(http.post(prefix + path, files=[part(name, HOPPER) for name in names])) for prefix in ("", "/v1")
    )
    assert plain["faces"] == versioned["faces"]
    assert plain["faces"] != []


def test_the_version_prefix_reaches_the_same_gallery(http, likeness, gallery):
    faces = f"/galleries/{gallery}/subjects/hopper/faces"
    answered(http.post(f"/v1{faces}", files=[part("image", HOPPER)]), 201)
    (face,) = answered(http.post("/v1/identify", files=[part("image", HOPPER)], data={"gallery": gallery}))["faces"]
    assert face["candidates"] == likeness.candidates(HOPPER, gallery)
    assert face["identified"] is True
    assert http.delete(f"/v1/galleries/{gallery}").is_success
    assert http.get(f"/galleries/{gallery}").status_code == 404


def test_the_version_prefix_embeds_too(http):
    (result,) = answered(http.post("/v1/embed", files=[part("image", HOPPER)]))["results"]
    assert len(result["faces"]) == 1
