"""The OpenAPI document describes what the service does."""

import re
from typing import Any

import httpx2
import pytest

from app.api.problems import PROBLEM_TYPES

SUBJECT = "/galleries/{gallery}/subjects/{subject}"
OPERATIONS = {
    "/verify": {"post"},
    "/identify": {"post"},
    "/detect": {"post"},
    "/embed": {"post"},
    "/compare": {"post"},
    "/cluster": {"post"},
    "/galleries": {"get"},
    "/galleries/{gallery}": {"get", "put", "delete"},
    "/galleries/{gallery}/import": {"post"},
    "/galleries/{gallery}/subjects": {"get"},
    SUBJECT: {"get", "put", "patch", "delete"},
    f"{SUBJECT}/faces": {"get", "post"},
    f"{SUBJECT}/faces/{{face}}": {"delete"},
    f"{SUBJECT}/merge": {"post"},
    f"{SUBJECT}/verify": {"post"},
    f"{SUBJECT}/export": {"get"},
    "/models": {"get"},
    "/models/{model}/calibration": {"get"},
    "/audit": {"get"},
    "/healthz": {"get"},
    "/readyz": {"get"},
    "/metrics": {"get"},
}
PHOTOS = {
    "/verify": ["image1", "image2"],
    "/identify": ["image"],
    "/detect": ["image"],
    "/embed": ["image"],
    "/compare": ["image", "others"],
    "/cluster": ["image"],
    f"{SUBJECT}/faces": ["image"],
    f"{SUBJECT}/verify": ["image"],
}
OR_VECTORS = {
    "/verify": {"embedding1", "embedding2", "model"},
    "/identify": {"embedding", "model"},
    f"{SUBJECT}/faces": {"embedding", "embeddings", "model"},
    f"{SUBJECT}/verify": {"embedding", "model"},
}
"""The fields of JSON that may take the place of photos."""
KINDS = ("multipart/form-data", "application/json")
PROBLEM = {"$ref": "#/components/schemas/Problem"}
Description = dict[str, Any]


@pytest.fixture(scope="module")
def description(http: httpx2.Client) -> Description:
    return dict(http.get("/openapi.json").json())


def operations(description: Description) -> dict[str, Description]:
    """Return the operations by method and path, without the probes, which promise no problems."""
    return {
        f"{method} {path}": operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
        if path not in ("/healthz", "/readyz")
    }


def body_of(description: Description, path: str, kind: str) -> Description:
    return dict(description["paths"][path]["post"]["requestBody"]["content"][kind]["schema"])


def test_every_route_is_described(description: Description) -> None:
    assert {path: set(methods) for path, methods in description["paths"].items()} == OPERATIONS


def test_the_description_does_not_change_with_the_prefix_asked_first(http: httpx2.Client) -> None:
    paths = [http.get(f"{prefix}/openapi.json").json()["paths"].keys() for prefix in ("/v1", "", "/v1")]
    assert paths[0] == paths[1] == paths[2]


def test_every_operation_but_the_public_ones_requires_a_key(description: Description) -> None:
    public = {
        path for path, methods in description["paths"].items() for each in methods.values() if not each["security"]
    }
    assert public == {"/healthz", "/readyz"}
    assert {scheme["type"] for scheme in description["components"]["securitySchemes"].values()} == {"http", "apiKey"}


@pytest.mark.parametrize("path", PHOTOS)
def test_both_forms_of_a_body_are_described(description: Description, path: str) -> None:
    form, json = (body_of(description, path, kind) for kind in KINDS)
    assert form["required"] == PHOTOS[path]
    assert json["required"] == ([] if path in OR_VECTORS else PHOTOS[path])
    assert json["properties"].keys() - form["properties"].keys() == OR_VECTORS.get(path, set())
    assert form["properties"].keys() <= json["properties"].keys()
    assert form["additionalProperties"] is json["additionalProperties"] is False


@pytest.mark.parametrize(("kind", "written"), [("multipart/form-data", "binary"), ("application/json", "byte")])
def test_an_image_is_described_as_a_file_or_as_base64(description: Description, kind: str, written: str) -> None:
    image = {"type": "string", "format": written}
    several = {"type": "array", "items": image, "minItems": 1, "maxItems": 32}
    assert body_of(description, "/detect", kind)["properties"]["image"] == image
    assert body_of(description, "/embed", kind)["properties"]["image"] == several
    for path, name, schema in (("/verify", "image1", image), (f"{SUBJECT}/faces", "image", several)):
        optional = {"anyOf": [schema, {"type": "null"}]}
        assert body_of(description, path, kind)["properties"][name] == (optional if written == "byte" else schema)


def test_the_fields_of_a_request_are_described_with_their_meaning(description: Description) -> None:
    fields = body_of(description, "/identify", "multipart/form-data")["properties"]
    chosen = {"face", "faces", "gallery", "top_k", "fpir", "threshold", "orientation", "liveness"}
    assert fields.keys() == {"image", *chosen}
    assert all(field["description"] for name, field in fields.items() if name != "image")


def test_every_problem_is_described_as_problem_json_with_its_codes(description: Description) -> None:
    for name, operation in operations(description).items():
        for code, kind in PROBLEM_TYPES.items():
            response = operation["responses"][str(int(kind.status))]
            assert response["content"] == {"application/problem+json": {"schema": PROBLEM}}, name
            assert f"`{code}`" in response["description"], name


def test_a_problem_is_described_with_the_members_of_the_contract(description: Description) -> None:
    members = description["components"]["schemas"]["Problem"]["properties"]
    assert members.keys() >= {"type", "title", "status", "detail", "instance", "code", "request_id", "image", "errors"}


def test_every_operation_describes_its_answer(description: Description) -> None:
    for name, operation in operations(description).items():
        good = [response for status, response in operation["responses"].items() if re.match("2", status)]
        assert good, name
        assert all("content" in response or name.startswith("delete") for response in good), name


def test_operations_have_short_names_of_their_own(description: Description) -> None:
    names = [each["operationId"] for methods in description["paths"].values() for each in methods.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]+)*", name) for name in names)
    assert set(names) >= {"verify", "identify", "detect", "embed", "enrollFaces", "verifySubject", "listSubjects"}


def test_the_description_names_the_server_with_and_without_the_version(http: httpx2.Client) -> None:
    for prefix in ("", "/v1"):
        servers = http.get(f"{prefix}/openapi.json").json()["servers"]
        assert [server["url"] for server in servers] == ["/v1", "/"]


def test_the_codes_of_a_problem_are_those_of_the_table(description: Description) -> None:
    assert description["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == list(PROBLEM_TYPES)


def test_every_member_of_a_problem_is_described(http: httpx2.Client, description: Description) -> None:
    members = description["components"]["schemas"]["Problem"]["properties"]
    crowd = http.post("/detect", json={"image": 5}).json()
    assert members.keys() >= crowd.keys() | {"reasons", "boxes", "faces_found", "rejected"}
    assert all("description" in members[name] for name in ("type", "image", "errors", "reasons", "boxes", "rejected"))


def test_null_is_described_for_optional_fields_of_json_alone(description: Description) -> None:
    for path, required in PHOTOS.items():
        form, json = (body_of(description, path, kind)["properties"] for kind in KINDS)
        for name in form.keys() - set(required):
            assert {"type": "null"} in json[name]["anyOf"]
            assert "null" not in str(form[name])
