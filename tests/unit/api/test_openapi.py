"""OpenAPI describes requests, responses and problems as the service handles them."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from app.api.problems import PROBLEM_TYPES

PHOTOS = {
    "/verify": ["image1", "image2"],
    "/identify": ["image"],
    "/detect": ["image"],
    "/embed": ["image"],
    "/galleries/{gallery}/subjects/{subject}/faces": ["image"],
    "/galleries/{gallery}/subjects/{subject}/verify": ["image"],
}
REPEATABLE = ["/embed", "/galleries/{gallery}/subjects/{subject}/faces"]
PROBLEM = {"$ref": "#/components/schemas/Problem"}
Description = dict[str, Any]


@pytest.fixture(scope="module")
def description(client: TestClient) -> Description:
    return dict(client.get("/openapi.json").json())


def operations(description: Description) -> dict[str, Description]:
    """Return the operations by method and path, except the health checks, which have no problem documents."""
    return {
        f"{method} {path}": operation
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
        if path not in ("/healthz", "/readyz")
    }


def body_of(description: Description, path: str, kind: str) -> Description:
    return dict(description["paths"][path]["post"]["requestBody"]["content"][kind]["schema"])


@pytest.mark.parametrize("path", PHOTOS)
def test_form_and_json_body_are_described_alike(description: Description, path: str) -> None:
    form, json = (body_of(description, path, kind) for kind in ("multipart/form-data", "application/json"))

    assert form["required"] == json["required"] == PHOTOS[path]
    assert form["properties"].keys() == json["properties"].keys()
    assert form["additionalProperties"] is json["additionalProperties"] is False


@pytest.mark.parametrize(("kind", "format_"), [("multipart/form-data", "binary"), ("application/json", "byte")])
def test_image_is_described_as_a_file_or_as_base64(description: Description, kind: str, format_: str) -> None:
    image = {"type": "string", "format": format_}

    assert body_of(description, "/verify", kind)["properties"]["image1"] == image
    for path in REPEATABLE:
        several = body_of(description, path, kind)["properties"]["image"]
        assert several == {"type": "array", "items": image, "minItems": 1, "maxItems": 32}


def test_every_field_has_a_description(description: Description) -> None:
    fields = body_of(description, "/identify", "application/json")["properties"]

    assert fields.keys() == {"image", "face", "faces", "gallery", "top_k", "fpir", "threshold"}
    assert all(field["description"] for name, field in fields.items() if name != "image")


def test_problems_are_described_only_as_problem_json(description: Description) -> None:
    statuses = {str(int(kind.status)) for kind in PROBLEM_TYPES.values()}
    for name, operation in operations(description).items():
        described = [operation["responses"][status]["content"] for status in statuses]
        assert all(content == {"application/problem+json": {"schema": PROBLEM}} for content in described), name


def test_every_problem_code_is_listed_under_its_status(description: Description) -> None:
    responses = description["paths"]["/verify"]["post"]["responses"]

    assert all(f"`{code}`" in responses[str(int(kind.status))]["description"] for code, kind in PROBLEM_TYPES.items())


def test_problem_schema_has_the_members_of_the_contract(description: Description) -> None:
    members = description["components"]["schemas"]["Problem"]["properties"]

    assert members.keys() >= {"type", "title", "status", "detail", "instance", "code", "request_id", "image", "errors"}


def test_every_operation_describes_its_response(description: Description) -> None:
    for name, operation in operations(description).items():
        good = [response for status, response in operation["responses"].items() if status < "300"]
        assert good, name
        assert all("content" in response or name.startswith("delete") for response in good), name
