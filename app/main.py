"""The HTTP application: routers, error table, and the services' lifetime."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from app import __version__
from app.api import errors, problems
from app.api.middleware import BodyLimit, Paths, RequestId
from app.api.routes import faces, galleries, service
from app.settings import Settings
from app.wiring import open_services

DESCRIPTION = """Are these two photos of one person? Who of the enrolled people is this?

Distances are squared Euclidean (L2) distances of unit vectors, in [0, 4]; a pair matches when `distance <= threshold`.
Every route is also reachable under `/v1`."""


def create_app(settings: Settings) -> FastAPI:
    """The application; its models are opened, and StartError raised, when its lifespan begins."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            yield
            del app.state.services

    app = FastAPI(
        title="Likeness", version=__version__, description=DESCRIPTION, lifespan=lifespan, redirect_slashes=False
    )
    app.state.max_image_bytes = settings.max_image_bytes
    for router in (faces.router, galleries.router, service.router):
        app.include_router(router)
    errors.install(app)
    problems.document(app)
    app.add_middleware(BodyLimit, max_bytes=settings.max_body_bytes)
    app.add_middleware(Paths)
    app.add_middleware(RequestId)
    return app
