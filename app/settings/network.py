"""Settings of the address, of who can reach the service, and of what it answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from app.access.authenticator import Auth
from app.settings.value_types import AnyCase, check_origins, check_proxies


class NetworkSettings(BaseModel):
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    published_on: str | None = Field(
        None,
        description="Address that the container's port is published on; it decides, instead of the host, who can reach "
        "the service.",
    )
    trusted_proxies: Annotated[str | None, AfterValidator(check_proxies)] = Field(
        None,
        description="Addresses or networks (`10.0.0.0/8`) of proxies, separated by commas, whose `X-Forwarded-For` "
        "header is trusted.",
    )
    auth: Annotated[Auth, AnyCase] = Field(
        "auto",
        description="`auto` requires keys if other machines can reach the service or if a key was ever created; `on` "
        "always requires them; `off` never does.",
    )
    compreface: bool = Field(
        default=False, description="Also answer under `/api/v1` as CompreFace's REST API does, for its clients."
    )
    cors_origins: Annotated[str | None, AfterValidator(check_origins)] = Field(
        None,
        description="Origins whose pages may send requests from a browser, separated by commas: "
        "`https://app.example`. Without it, browsers keep other pages from reading answers.",
    )
    page: bool = Field(default=True, description="Serve the page for people at `/`; `off` removes it.")
