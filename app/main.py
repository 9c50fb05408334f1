"""Assemble the HTTP application: routers, error handlers, middleware, and the lifetime of the services."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware

from app import __version__
from app.access.rate_limiter import RateLimiter
from app.api import compreface, error_handlers, openapi
from app.api.compreface.errors import CompreFaceErrors
from app.api.dependencies import check_query
from app.api.json_body import BodyLimits
from app.api.middleware.auth import PUBLIC, Authentication
from app.api.middleware.body_limit import BodyLimit
from app.api.middleware.cors import cors_options
from app.api.middleware.deadline import Deadline
from app.api.middleware.head import HeadAsGet
from app.api.middleware.metrics import RequestMetrics
from app.api.middleware.raw_path import RawPath
from app.api.middleware.request_id import RequestId
from app.api.problems import PROBLEM_TYPES
from app.api.routes import audit, docs, enrolled_faces, faces, galleries, health, models, subjects
from app.api.routes import metrics as metrics_route
from app.api.routes import page as page_route
from app.api.state import AppState, set_state, state_of
from app.bootstrap.services import open_services
from app.bootstrap.tracing import open_tracing
from app.observability.metrics import Metrics
from app.observability.route_names import RouteNames
from app.observability.tracing import NO_TRACING, Tracing
from app.server.shutdown import Lifecycle
from app.services.container import Models
from app.settings import Settings

DESCRIPTION = """Are these two photos of one person? Who of the enrolled people is this?

Distances are squared Euclidean (L2) distances between unit vectors, in [0, 4].
A pair matches when `distance <= threshold`.
Every route is also reachable under `/v1`."""

# What is asked most is matched first.
_OTHER_ROUTERS = (
    enrolled_faces.router,
    galleries.router,
    subjects.router,
    models.router,
    audit.router,
    health.router,
    metrics_route.router,
)

NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own telemetry would send paths, queries and exceptions, which may contain names of people."""


def create_app(settings: Settings, opened_models: Models | None = None) -> FastAPI:
    """Return the application; its lifespan opens the models unless they are given. Both raise StartError."""
    lifecycle, metrics = Lifecycle(settings.shutdown_delay), Metrics(PROBLEM_TYPES)
    tracing = open_tracing(__version__) if settings.tracing else NO_TRACING
    body_limits = BodyLimits(settings.max_image_bytes, settings.max_metadata_bytes)
    stopped = AppState(lifecycle, metrics, tracing.span, body_limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with open_services(settings, metrics, opened_models) as services:
                set_state(app, replace(stopped, services=services))
                yield
                set_state(app, stopped)
        finally:
            await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="Likeness",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        telemetry=NO_TELEMETRY,
        servers=openapi.SERVERS,
        generate_unique_id_function=openapi.operation_id,
    )
    set_state(app, stopped)
    metrics.watch_readiness(lambda: state_of(app).is_ready)
    _add_routes(app, settings)
    error_handlers.install(app)
    openapi.customize_openapi(app)
    _add_middleware(app, settings, stopped, tracing)
    return app


def _add_routes(app: FastAPI, settings: Settings) -> None:
    app.include_router(faces.router)  # whose images check the query themselves
    for router in _OTHER_ROUTERS:
        app.include_router(router, dependencies=[Depends(check_query)])
    app.include_router(docs.router)
    for router in compreface.ROUTERS if settings.compreface else ():
        app.include_router(router)
    if settings.page:
        app.include_router(page_route.router)


def _add_middleware(app: FastAPI, settings: Settings, state: AppState, tracing: Tracing) -> None:
    """Add the middleware from the inside to the outside: a request passes what was added last first."""
    lifecycle = state.lifecycle
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, seconds=settings.upload_timeout)
    app.add_middleware(Deadline, seconds=settings.deadline, long_seconds=settings.long_deadline, lifecycle=lifecycle)
    rate_limiter = RateLimiter(settings.rate_limit, settings.max_concurrent)
    app.add_middleware(Authentication, rate_limiter=rate_limiter, lifecycle=lifecycle)
    if settings.compreface:
        app.add_middleware(CompreFaceErrors)
    route_names = RouteNames([*described_paths(), *PUBLIC, *(compreface.PATHS if settings.compreface else ())])
    app.add_middleware(RequestMetrics, metrics=state.metrics, lifecycle=lifecycle, route_names=route_names)
    app.add_middleware(RawPath)
    app.add_middleware(tracing.middleware)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cors_options(settings.cors_origins))
    app.add_middleware(RequestId)


def described_paths() -> list[str]:
    """Return the paths of the OpenAPI description, which takes much longer to make."""
    routes = [route for router in (faces.router, *_OTHER_ROUTERS) for route in router.routes]
    return list(dict.fromkeys(route.path for route in routes if isinstance(route, APIRoute)))
