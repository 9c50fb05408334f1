"""Every option once, with its meaning and bounds: environment variables `LIKENESS_*`, or a file `.env`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.access.authenticator import Auth
from app.domain.clock import parse_duration
from app.inference.onnx_session import Provider
from app.observability.logging import Style


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """Variables that look like ours and are none: a misspelt limit must not silently be no limit."""
    known = {f"LIKENESS_{name.upper()}" for name in Settings.model_fields}
    given = [name for name in environment if name.upper().startswith("LIKENESS_") and name.upper() not in known]
    return [f"{name} is no setting{_nearest(name.upper(), known)}" for name in sorted(given)]


def _nearest(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _cores() -> int:
    return os.cpu_count() or 1


Duration = Annotated[timedelta, BeforeValidator(_duration)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="LIKENESS_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    published_on: str | None = Field(
        None,
        description="Address that a container's port is published on; decides, in place of the host, who can reach it.",
    )
    trusted_proxies: str | None = Field(
        None, description="Addresses of proxies, separated by commas, whose X-Forwarded-For says who asks."
    )
    auth: Auth = Field(
        "auto",
        description="`auto` asks for keys where other machines can reach the service, and once there ever was a key; "
        "`on` always; `off` never.",
    )
    data_dir: Path = Field(Path("data"), description="Where the gallery is kept.")
    models_dir: Path = Field(Path("models"), description="Where the model folders are.")
    model: str = Field("mobilefacenet-128", pattern=r"^[A-Za-z0-9._-]+$", description="Folder of the embedder.")

    provider: Provider = Field(
        "auto", description="What runs the networks. One that is named and cannot be used stops the start."
    )
    workers: int = Field(
        1, ge=1, le=64, description="Processes that serve the port; what is bounded below is bounded in each of them."
    )
    threads: int = Field(1, ge=1, le=64, description="Threads inside one run of a network.")
    photo_threads: int = Field(default_factory=_cores, ge=1, le=256, description="Photos worked on at once.")
    max_waiting: int = Field(64, ge=1, description="Photos beyond these are refused with 503.")
    max_faces: int = Field(500, ge=1, description="Faces taken of one photo, the largest; all are counted.")
    max_batch: int = Field(8, ge=1, le=256, description="Faces embedded in one go.")
    deadline: float = Field(30.0, gt=0, description="Seconds after which a request is given up with 504.")

    max_image_bytes: int = Field(10 * 1024 * 1024, ge=1, description="Bytes of one image; 413 beyond.")
    max_image_pixels: int = Field(40_000_000, ge=1, description="Pixels of one image; 413 beyond, before decoding.")
    max_body_bytes: int = Field(64 * 1024 * 1024, ge=1, description="Bytes of a whole request; 413 beyond.")
    max_header_bytes: int = Field(16 * 1024, ge=1024, description="Bytes of a request's head; 431 beyond.")
    head_timeout: float = Field(10.0, gt=0, description="Seconds for a request's head; the connection is closed then.")
    upload_timeout: float = Field(20.0, gt=0, description="Seconds for a request's body; 408 then.")
    max_connections: int = Field(1024, ge=1, description="Open connections; more are closed at once.")
    rate_limit: int = Field(1000, ge=0, description="Requests a second of one key, or address; 429 beyond, 0 is none.")
    max_concurrent: int = Field(
        256, ge=0, description="Requests at once of one key, or address; 429 beyond, 0 is none."
    )

    min_face: float | None = Field(
        None,
        ge=12,
        description="Side of the smallest face looked for, in pixels, as facenet-pytorch takes it, and then box for "
        "box what it finds: 20 finds more of a distant crowd, in three times the time, and takes more things for "
        "faces. Without it faces from 40 px on, in the service's own, faster way.",
    )
    default_fmr: float = Field(1e-4, gt=0, lt=1, description="FMR promised by /verify where the caller names none.")
    default_fpir: float = Field(0.01, gt=0, lt=1, description="FPIR promised by /identify where the caller names none.")

    enroll_min_size: float = Field(0.25, ge=0, le=1, description="Quality bound of enrolment: size.")
    enroll_min_sharpness: float = Field(0.15, ge=0, le=1, description="Quality bound of enrolment: sharpness.")
    enroll_min_frontality: float = Field(0.2, ge=0, le=1, description="Quality bound of enrolment: frontality.")
    enroll_min_inside: float = Field(0.6, ge=0, le=1, description="Quality bound of enrolment: inside.")

    encryption_key: SecretStr | None = Field(
        None, description="Base64 of 32 bytes: templates and metadata are sealed with it. Several: the first seals."
    )
    encryption_key_file: Path | None = Field(None, description="A file with the same, in place of it.")
    retention: Duration | None = Field(None, description="Faces enrolled longer ago than that (90d, 12h) are erased.")
    audit_searches: bool = Field(default=False, description="Audit identifications too, not only changes and exports.")

    log_format: Style = Field("json", description="One JSON object a line, or `text` for people.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged at least.")
    tracing: bool = Field(
        default=False, description="OpenTelemetry traces (extra `otel`); OTEL_* variables say where to."
    )
    shutdown_delay: float = Field(
        0.0, ge=0, le=300, description="Seconds that a stopping service goes on answering, not ready, before it drains."
    )

    @property
    def photos_at_once(self) -> int:
        """In each worker: `photo_threads` where it was given, else a share of the cores."""
        return self.photo_threads if "photo_threads" in self.model_fields_set else max(1, _cores() // self.workers)
