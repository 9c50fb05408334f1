"""The OpenAPI description: request bodies, problem documents, and security."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from fastapi.routing import APIRoute
from pydantic import BaseModel

from app.api.image_fields import ImageField
from app.api.middleware.auth import is_public
from app.api.problems import MEDIA_TYPE, PROBLEM_TYPES
from app.api.responses import Problem
from app.api.state import state_of
from app.api.uploads import JSON, MULTIPART

BINARY, NDJSON = "application/octet-stream", "application/x-ndjson"

_IMAGE_FORMATS = {MULTIPART: "binary", JSON: "byte"}
_NULL = {"type": "null"}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key of `likeness keys create`."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key."},
}
_REQUEST_ID = {
    "name": "X-Request-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "An id for the logs, which the answer repeats: 1 to 128 letters, digits or `._:/+=@-`. "
    "Instead of any other the service makes one.",
}
_REQUEST_ID_REFERENCE = {"$ref": "#/components/parameters/RequestId"}
SERVERS = [{"url": "/v1", "description": "Version 1."}, {"url": "/", "description": "The newest version."}]


_PROBLEM_REFERENCE = {"$ref": "#/components/schemas/Problem"}


def _problem_responses() -> dict[int | str, dict[str, Any]]:
    codes: dict[int | str, list[str]] = {}
    for code, kind in PROBLEM_TYPES.items():
        codes.setdefault(int(kind.status), []).append(f"`{code}`")
    return {
        status: {"description": ", ".join(named), "content": {MEDIA_TYPE: {"schema": _PROBLEM_REFERENCE}}}
        for status, named in sorted(codes.items(), key=str)
    }


PROBLEMS = _problem_responses()
"""
The `responses` of a route. They refer to Problem instead of having it as their `model`, of which FastAPI would make a
field for each status of each route: a quarter of the time that the import of the routes takes.
"""


def request_body(fields: type[BaseModel], *images: ImageField) -> dict[str, Any]:
    """Return the `openapi_extra` of a route with the dependency `images(*images)` and the other `fields`."""
    content = {media_type: {"schema": _body_schema(fields, images, media_type)} for media_type in _IMAGE_FORMATS}
    return {"requestBody": {"required": True, "content": content}}


def json_body(fields: type[BaseModel], *, required: bool = False) -> dict[str, Any]:
    """
    Return the `openapi_extra` of a route with the dependency `json_fields(fields)`.

    The service also takes null for no body. It is left out here, because generated clients would send their mark for
    "not set" in its place.
    """
    return {"requestBody": {"required": required, "content": {JSON: {"schema": fields.model_json_schema()}}}}


_LINES = {"schema": {"type": "string", "format": "binary"}}


def ndjson_body(description: str) -> dict[str, Any]:
    """
    Return the `openapi_extra` of a route that reads lines of JSON as they arrive.

    The service takes any type of body there. The one that is described is known to generators of clients.
    """
    return {"requestBody": {"description": description, "required": True, "content": {BINARY: _LINES}}}


def ndjson_answers(description: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers with lines of JSON."""
    return {200: {"description": description, "content": {NDJSON: _LINES, BINARY: _LINES}}}


def operation_id(route: APIRoute) -> str:
    """Return the name of the function in camel case, which generated clients use for their methods."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


def customize_openapi(app: FastAPI) -> None:
    """Add to what FastAPI generates: problem documents, the request id, the security in force."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        description = generate()
        for path in description["paths"].values():
            for operation in path.values():
                _add_request_id(operation)
        _add_problem(description["components"]["schemas"])
        return _secured(description, required=_requires_key(app))

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it


def _add_problem(schemas: dict[str, Any]) -> None:
    """
    Describe problem documents, alone and inside other answers.

    There they are dictionaries, because they lack what does not apply.
    """
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
    problem = jsonable_encoder(schema, exclude_none=True)  # as FastAPI does with other schemas
    for name, part in {**problem.pop("$defs"), "Problem": problem}.items():
        schemas.setdefault(name, part)
    schemas["RejectedImage"]["properties"]["problem"] = _PROBLEM_REFERENCE
    schemas["ComparedPhoto"]["properties"]["error"] = {"anyOf": [_PROBLEM_REFERENCE, _NULL]}
    schemas["EmbedResult"]["properties"]["error"] = {"anyOf": [_PROBLEM_REFERENCE, _NULL]}


def _add_request_id(operation: dict[str, Any]) -> None:
    """Add the header that the middleware reads, unless it is there: FastAPI keeps the description that it made."""
    parameters = operation.setdefault("parameters", [])
    if _REQUEST_ID_REFERENCE not in parameters:
        parameters.append(_REQUEST_ID_REFERENCE)


def _body_schema(fields: type[BaseModel], images: Sequence[ImageField], media_type: str) -> dict[str, Any]:
    """Return the schema of a form or of JSON, where vectors may be given in place of images."""
    own, in_json = fields.model_json_schema(), media_type == JSON
    vectors = {name for image in images for name in image.embeddings} | ({"model"} if images[0].embeddings else set())
    adapt = _with_null if in_json else _without_null
    described = {name: adapt(field) for name, field in own["properties"].items() if in_json or name not in vectors}
    schema = {
        "type": "object",
        "required": [image.name for image in images if not (in_json and image.embeddings)],
        "properties": {**{image.name: _image_schema(image, media_type) for image in images}, **described},
        "additionalProperties": False,
    }
    return schema | ({"not": own["not"]} if "not" in own else {})


def _image_schema(image: ImageField, media_type: str) -> dict[str, Any]:
    one: dict[str, Any] = {"type": "string", "format": _IMAGE_FORMATS[media_type]}
    several = {"type": "array", "items": one, "minItems": 1, "maxItems": image.most}
    schema = one if image.most == 1 else several
    return {"anyOf": [schema, _NULL]} if media_type == JSON and image.embeddings else schema


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional field of a form, where it is left out instead of null."""
    options: list[dict[str, Any]] = [option for option in field.get("anyOf", ()) if option != _NULL]
    if not options:
        return field
    return {name: value for name, value in field.items() if name not in ("anyOf", "default")} | options[0]


def _with_null(field: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an optional field of JSON, where null means that it is absent."""
    if _NULL in field.get("anyOf", ()):
        return field
    own = {name: value for name, value in field.items() if name not in ("default", "description", "title")}
    about = {name: value for name, value in field.items() if name not in own}
    return {"anyOf": [own, _NULL], **about}


def _requires_key(app: FastAPI) -> bool:
    services = state_of(app).services
    return services is not None and services.authenticator.requires_key()


def _secured(description: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """Add the shared components; the empty one says that a service without keys accepts requests without them."""
    components = {
        **description.get("components", {}),
        "parameters": {"RequestId": _REQUEST_ID},
        "securitySchemes": _KEYS,
    }
    paths = {
        path: {
            method: {**operation, "security": _security(path, required=required)}
            for method, operation in operations.items()
        }
        for path, operations in description["paths"].items()
    }
    return {**description, "components": components, "paths": paths}


def _security(path: str, *, required: bool) -> list[dict[str, list[str]]]:
    if is_public(path):
        return []
    schemes: list[dict[str, list[str]]] = [{name: []} for name in _KEYS]
    return schemes if required else [*schemes, {}]
