"""
What a route asks for: the services, a stage timer, the uploaded images, ids out of the path.

All of it by `async def`: FastAPI takes plain functions to a thread and back, each of which waits for the interpreter's
lock behind the threads that work on photos.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Path, Request
from pydantic import BeforeValidator, StringConstraints

from app.api.middleware.auth import actor_of, caller_of
from app.api.presenters import Presenter
from app.api.problems import ProblemContext
from app.api.uploads import JSON, MULTIPART, Submission, read_submission
from app.domain.identity import Actor, Caller, Scope
from app.gallery.codec import ID_PATTERN
from app.services.container import Services
from app.services.timing import StageTimer

MAX_IMAGES = 32


async def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def timer_of(request: Request) -> StageTimer:
    """Kept with the request too, for its metrics."""
    request.state.timer = timer = StageTimer(request.app.state.span)
    return timer


@dataclass(frozen=True, slots=True)
class RequiredScope:
    """What the caller's key must allow: a scope (None: any key will do), and the gallery of the path, if it has one."""

    scope: Scope | None

    async def __call__(self, request: Request) -> None:
        caller = caller_of(request)
        if self.scope:
            caller.require(self.scope)
        if (gallery := request.path_params.get("gallery")) is not None:
            caller.require_gallery(unquote(gallery, errors="replace"))  # what is no UTF-8 is told of a moment later


def needs(scope: Scope | None) -> Any:
    """For a route's `dependencies`: they are resolved before its body is read."""
    return Depends(RequiredScope(scope))


async def _caller(request: Request) -> Caller:
    return caller_of(request)


async def _actor(request: Request) -> Actor:
    return actor_of(request)


Timer = Annotated[StageTimer, Depends(timer_of)]
CallerOf = Annotated[Caller, Depends(_caller)]
ActorOf = Annotated[Actor, Depends(_actor)]
ServicesOf = Annotated[Services, Depends(services_of)]


async def presenter_of(request: Request, services: ServicesOf, timer: Timer) -> Presenter:
    return Presenter(ProblemContext.of(request), services, timer)


def images(*names: str, most: int = 1) -> Callable[..., Awaitable[Submission]]:
    """The images of the fields `names`, each at most `most` times, and the other fields of the request."""

    async def submission(
        request: Request,
        services: ServicesOf,
        _timer: Timer,  # the clock starts before the body is read
    ) -> Submission:
        services.extraction.require_room(len(names))  # or a flood would cost the reading of all that is refused
        return await read_submission(request, names, most, request.app.state.max_image_bytes)

    return submission


def documented(fields: type, *names: str, most: int = 1) -> dict[str, Any]:
    """OpenAPI's request body for `images(*names)` with `fields`, in both of its forms."""
    return {"requestBody": {"required": True, "content": {kind: _body(fields, names, most, kind) for kind in _FORMATS}}}


def _decoded(text: Any) -> Any:
    """A path segment as the caller wrote it: routes see it percent-encoded (see Paths in middleware.py)."""
    return unquote(text, errors="strict") if isinstance(text, str) else text


PresenterOf = Annotated[Presenter, Depends(presenter_of)]
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN), BeforeValidator(_decoded), Path()]

_FORMATS = {MULTIPART: "binary", JSON: "byte"}


def _body(fields: Any, names: tuple[str, ...], most: int, kind: str) -> dict[str, Any]:
    image: dict[str, Any] = {"type": "string", "format": _FORMATS[kind]}
    several = {"type": "array", "items": image, "minItems": 1, "maxItems": most}
    own = fields.model_json_schema()
    described = (
        own["properties"] if kind == JSON else {name: _of_form(each) for name, each in own["properties"].items()}
    )
    schema = {
        "type": "object",
        "required": list(names),
        "properties": {**dict.fromkeys(names, image if most == 1 else several), **described},
        "additionalProperties": False,
    }
    return {"schema": schema | ({"not": own["not"]} if "not" in own else {})}


def _of_form(field: dict[str, Any]) -> dict[str, Any]:
    """A form cannot say null: a field that may be absent is left out."""
    options: list[dict[str, Any]] = [option for option in field.get("anyOf", ()) if option != {"type": "null"}]
    if not options:
        return field
    return {name: value for name, value in field.items() if name not in ("anyOf", "default")} | options[0]
