"""The HTTP application: routers, error table, what happens to every request, and the services' lifetime."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from app import __version__
from app.access.rate_limiter import RateLimiter
from app.api import openapi, problems
from app.api.middleware.auth import PUBLIC, Authentication
from app.api.middleware.body_limit import BodyLimit
from app.api.middleware.deadline import Deadline
from app.api.middleware.metrics import RequestMetrics
from app.api.middleware.raw_path import RawPath
from app.api.middleware.request_id import RequestId
from app.api.routes import docs, faces, galleries, health, models
from app.api.routes import metrics as metrics_route
from app.bootstrap.services import open_services
from app.bootstrap.tracing import open_tracing
from app.observability.metrics import Metrics
from app.observability.route_names import RouteNames
from app.observability.tracing import NO_TRACING
from app.server.shutdown import Lifecycle
from app.settings import Settings

DESCRIPTION = """Are these two photos of one person? Who of the enrolled people is this?

Distances are squared Euclidean (L2) distances of unit vectors, in [0, 4]; a pair matches when `distance <= threshold`.
Every route is also reachable under `/v1`."""

NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""FastAPI's own would send paths, queries and exceptions, which may name people, to whatever the process has set up."""


def create_app(settings: Settings) -> FastAPI:
    """The application; its models are opened, and StartError raised (here too), when its lifespan begins."""
    lifecycle, metrics = Lifecycle(settings.shutdown_delay), Metrics(problems.PROBLEM_TYPES)
    tracing = open_tracing(__version__) if settings.tracing else NO_TRACING

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with open_services(settings, metrics) as services:
                app.state.services = services
                yield
                del app.state.services
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
    )
    app.state.max_image_bytes, app.state.span = settings.max_image_bytes, tracing.span
    app.state.lifecycle, app.state.metrics = lifecycle, metrics
    metrics.ready(lambda: hasattr(app.state, "services") and not lifecycle.stopping)
    for router in (faces.router, galleries.router, models.router, health.router, metrics_route.router, docs.router):
        app.include_router(router)
    problems.install(app)
    openapi.document(app)
    # the last one added is the first that a request meets
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes, seconds=settings.upload_timeout)
    app.add_middleware(Deadline, seconds=settings.deadline, lifecycle=lifecycle)
    app.add_middleware(
        Authentication, limits=RateLimiter(settings.rate_limit, settings.max_concurrent), lifecycle=lifecycle
    )
    templates = RouteNames([*app.openapi()["paths"], *PUBLIC])
    app.add_middleware(RequestMetrics, metrics=metrics, lifecycle=lifecycle, templates=templates)
    app.add_middleware(RawPath)
    app.add_middleware(tracing.middleware)
    app.add_middleware(RequestId)
    return app
