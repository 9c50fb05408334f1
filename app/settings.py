"""The settings with their meaning and bounds: environment variables `LIKENESS_*`, or a file `.env`."""

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
    """Return a message for each unknown LIKENESS_* variable: a misspelt limit must not silently have no effect."""
    known = {f"LIKENESS_{name.upper()}" for name in Settings.model_fields}
    given = [name for name in environment if name.upper().startswith("LIKENESS_") and name.upper() not in known]
    return [f"{name} is not a setting{_nearest(name.upper(), known)}" for name in sorted(given)]


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
        description="Address on which the port of a container is published; it replaces `host` in the decision whether "
        "other machines can reach the service.",
    )
    trusted_proxies: str | None = Field(
        None, description="Addresses of proxies whose X-Forwarded-For header is trusted, separated by commas."
    )
    auth: Auth = Field(
        "auto",
        description="Whether API keys are required: `auto` requires them if other machines can reach the service or a "
        "key was ever created; `on` always; `off` never.",
    )
    data_dir: Path = Field(Path("data"), description="Folder of the database.")
    models_dir: Path = Field(Path("models"), description="Where the model folders are.")
    model: str = Field(
        "mobilefacenet-128",
        pattern=r"^[A-Za-z0-9._-]+$",
        description="Folder of the embedding model, below `models_dir`.",
    )

    provider: Provider = Field(
        "auto",
        description="Execution provider of the networks. The service does not start if it cannot use a named one.",
    )
    workers: int = Field(
        1, ge=1, le=64, description="Number of processes that serve the port. The limits below apply to each process."
    )
    threads: int = Field(1, ge=1, le=64, description="Threads within one run of a network.")
    photo_threads: int = Field(
        default_factory=_cores, ge=1, le=256, description="Photos that are processed at the same time."
    )
    max_waiting: int = Field(64, ge=1, description="Photos that may wait; more are refused with 503.")
    max_faces: int = Field(
        500,
        ge=1,
        description="Largest number of faces per photo. Of more, the largest are used; `faces_found` counts all.",
    )
    max_batch: int = Field(8, ge=1, le=256, description="Largest number of faces per run of the embedder.")
    deadline: float = Field(30.0, gt=0, description="Seconds until a request is answered with 504.")

    max_image_bytes: int = Field(
        10 * 1024 * 1024, ge=1, description="Largest image, in bytes. Larger ones are refused with 413."
    )
    max_image_pixels: int = Field(
        40_000_000,
        ge=1,
        description="Largest image, in pixels, checked before decoding. Larger ones are refused with 413.",
    )
    max_body_bytes: int = Field(
        64 * 1024 * 1024, ge=1, description="Largest request body, in bytes. Larger ones are refused with 413."
    )
    max_header_bytes: int = Field(
        16 * 1024, ge=1024, description="Largest request head, in bytes. Larger ones are refused with 431."
    )
    head_timeout: float = Field(
        10.0, gt=0, description="Seconds in which a request head must arrive; then the connection is closed."
    )
    upload_timeout: float = Field(
        20.0, gt=0, description="Seconds in which a request body must arrive. Slower ones are refused with 408."
    )
    max_connections: int = Field(1024, ge=1, description="Largest number of open connections; more are closed at once.")
    rate_limit: int = Field(
        1000,
        ge=0,
        description="Requests per second of one key or address. More are refused with 429; 0 means no limit.",
    )
    max_concurrent: int = Field(
        256,
        ge=0,
        description="Simultaneous requests of one key or address. More are refused with 429; 0 means no limit.",
    )

    min_face: float | None = Field(
        None,
        ge=12,
        description="Side of the smallest face to detect, in pixels. If unset, the faster cascade of this service "
        "detects faces from 40 px on; if set, the cascade is facenet-pytorch's, with identical boxes: 20 finds more "
        "faces in crowds, takes three times as long and gives more false detections.",
    )
    default_fmr: float = Field(
        1e-4, gt=0, lt=1, description="False match rate of `/verify` unless the request gives one."
    )
    default_fpir: float = Field(
        0.01, gt=0, lt=1, description="False positive identification rate of `/identify` unless the request gives one."
    )

    enroll_min_size: float = Field(0.25, ge=0, le=1, description="Lowest quality for enrolment: size.")
    enroll_min_sharpness: float = Field(0.15, ge=0, le=1, description="Lowest quality for enrolment: sharpness.")
    enroll_min_frontality: float = Field(0.2, ge=0, le=1, description="Lowest quality for enrolment: frontality.")
    enroll_min_inside: float = Field(0.6, ge=0, le=1, description="Lowest quality for enrolment: inside.")

    encryption_key: SecretStr | None = Field(
        None,
        description="Base64 of 32 bytes, which encrypt templates and metadata. Of several keys the first encrypts.",
    )
    encryption_key_file: Path | None = Field(
        None, description="A file with the encryption key, instead of the variable."
    )
    retention: Duration | None = Field(None, description="Age at which enrolled faces are erased (90d, 12h).")
    audit_searches: bool = Field(
        default=False, description="Write searches to the audit log too, not only changes and exports."
    )

    log_format: Style = Field("json", description="`json` writes one JSON object per line, `text` lines for people.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    tracing: bool = Field(
        default=False, description="Send OpenTelemetry traces (extra `otel`) as the OTEL_* variables configure it."
    )
    shutdown_delay: float = Field(
        0.0,
        ge=0,
        le=300,
        description="Seconds in which a stopping service still accepts requests, but is not ready, before it drains.",
    )

    @property
    def photos_at_once(self) -> int:
        """The threads of each worker: `photo_threads` if it is set, or else a share of the cores."""
        return self.photo_threads if "photo_threads" in self.model_fields_set else max(1, _cores() // self.workers)
