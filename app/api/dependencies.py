"""
The dependencies of routes: services, stage timer, uploaded images, ids from the path, and the required scope.

All of them are `async def`: FastAPI runs plain functions on a thread, and each switch between threads would wait for
the interpreter's lock behind the threads that process photos. They take the request only, and call each other: FastAPI
takes about 25 microseconds for each entry of the graph of dependencies, whether it is new or cached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import Depends, Header, Path, Request
from fastapi.routing import APIRoute
from pydantic import BeforeValidator, StringConstraints

from app.api.field_faults import TWICE, shown, unknown
from app.api.image_fields import ImageField
from app.api.middleware.auth import actor_of, caller_of
from app.api.presenters.recognition import Presenter
from app.api.problems import MAX_ERRORS, ProblemContext
from app.api.state import AppState, state_of
from app.api.uploads import MAX_NAME, F, Submission, read_fields, read_submission
from app.domain.errors import InvalidRequest
from app.domain.identity import Actor, Caller, Scope
from app.gallery.limits import ID_PATTERN
from app.services.container import Services
from app.services.timing import StageTimer


@dataclass(frozen=True, slots=True)
class RequiredScope:
    """Checks that the caller has `scope` (None: any caller) and access to the gallery in the path, if there is one."""

    scope: Scope | None

    async def __call__(self, request: Request) -> None:
        caller = caller_of(request)
        if self.scope:
            caller.require(self.scope)
        if (gallery := request.path_params.get("gallery")) is not None:
            caller.require_gallery(unquote(gallery, errors="replace"))  # the validation of Id refuses invalid UTF-8


def require_scope(scope: Scope | None) -> Any:
    """Return an entry for the `dependencies` of a route, which are resolved before its body is read."""
    return Depends(RequiredScope(scope))


async def _state(request: Request) -> AppState:
    return state_of(request.app)


async def _caller(request: Request) -> Caller:
    return caller_of(request)


async def _actor(request: Request) -> Actor:
    return actor_of(request)


StateDep = Annotated[AppState, Depends(_state)]
CallerDep = Annotated[Caller, Depends(_caller)]
ActorDep = Annotated[Actor, Depends(_actor)]


async def _services(request: Request) -> Services:
    return state_of(request.app).require_services()


async def _timer(request: Request) -> StageTimer:
    return _timer_of(request)


def _timer_of(request: Request) -> StageTimer:
    """Return the timer of the request, which RequestMetrics reads after the response; the first call starts it."""
    state: dict[str, Any] = request.scope["state"]
    timer: StageTimer | None = state.get("timer")
    if timer is None:
        state["timer"] = timer = StageTimer(state_of(request.app).span)
    return timer


ServicesDep = Annotated[Services, Depends(_services)]
TimerDep = Annotated[StageTimer, Depends(_timer)]


async def _presenter(request: Request) -> Presenter:
    models = state_of(request.app).require_services().models
    return Presenter(ProblemContext.of(request), models, _timer_of(request))


PresenterDep = Annotated[Presenter, Depends(_presenter)]


@dataclass(frozen=True, slots=True)
class Images:
    """Reads the images of the fields, and the other fields of body and query."""

    fields: tuple[ImageField, ...]

    async def __call__(self, request: Request) -> Submission:
        state = state_of(request.app)
        services = state.require_services()
        _timer_of(request)  # the time of a request includes the reading of its body
        services.extraction.require_capacity(len(self.fields))  # a request that will be refused is not read
        return await read_submission(request, self.fields, state.body_limits, services.body_workers)


def images(*fields: ImageField) -> Images:
    return Images(fields)


async def check_query(request: Request) -> None:
    """Raises InvalidRequest for an undeclared field, or one with two values; Images checks its fields itself."""
    route = request.scope.get("route")
    if not request.query_params or not isinstance(route, APIRoute):
        return
    if any(isinstance(each.call, Images) for each in route.dependant.dependencies):
        return
    faults = _query_faults(request, {field.alias for field in route.dependant.query_params})[:MAX_ERRORS]
    if faults:
        for each in route.dependant.dependencies:
            if isinstance(each.call, RequiredScope):  # a caller who may not use the route learns nothing of its fields
                await each.call(request)
        raise InvalidRequest("; ".join(f"{name}: {detail}" for name, detail in faults), faults)


def _query_faults(request: Request, known: Collection[str]) -> list[tuple[str, str]]:
    """Return the fields that the route does not know, and those that are given twice and differ."""
    query = request.query_params
    strangers = [(name[:MAX_NAME], unknown(name, known)) for name in query if name not in known]
    return strangers + [(name, TWICE) for name in known if len({*query.getlist(name)}) > 1]


def json_fields(kind: type[F]) -> Callable[..., Awaitable[F | None]]:
    """Return a dependency that reads a JSON body as `kind`, or None if there is no body."""

    async def fields(request: Request) -> F | None:
        state = state_of(request.app)
        return await read_fields(request, kind, state.body_limits, state.require_services().body_workers)

    return fields


def _decode(text: Any) -> Any:
    try:
        return unquote(text, errors="strict") if isinstance(text, str) else text
    except UnicodeDecodeError:
        raise ValueError(f"expected UTF-8, percent-encoded, got {shown(text)}") from None


Id = Annotated[str, StringConstraints(pattern=ID_PATTERN), BeforeValidator(_decode), Path()]
"""An id in the path, which is still percent-encoded there (see RawPath)."""

IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=255)]
