"""The settings with their meaning and bounds: environment variables `LIKENESS_*`, or a file `.env`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from app.access.authenticator import Auth
from app.concurrency.machine import MOST_WORKERS, usable_cores, workers_that_fit
from app.domain.clock import parse_duration
from app.inference.session import Provider
from app.observability.logging import Style

BUNDLED_MODELS = Path(__file__).with_name("bundled_models")
"""In the repository a link to `models/`; in the wheel a folder with the same files."""

CHOICES_FILE = Path(".env.local")
"""Beside `.env`, over which it wins: what commands write, so that the person's own file stays as it is."""

_DAY = 86400.0
_LARGE = 10**9
"""Bound of what has no other: far beyond any use, and no number of the libraries overflows."""


def unknown_variables(environment: Mapping[str, str]) -> list[str]:
    """
    Return a message for each unknown LIKENESS_* variable in `environment` or in the file `.env`.

    A misspelt limit must not silently have no effect.
    """
    known = {f"LIKENESS_{name.upper()}" for name in Settings.model_fields}
    given = {name.upper() for name in (*environment, *DotEnvSettingsSource(Settings).env_vars)}
    unknown = [name for name in sorted(given - known) if name.startswith("LIKENESS_")]
    return [f"{name} is not a setting{_nearest(name, known)}" for name in unknown]


def _nearest(name: str, known: set[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def _check_origins(text: str | None) -> str | None:
    """Raises ValueError; `*` is refused too, since every page could then use a key that a browser keeps."""
    for origin in (text or "").split(","):
        if text and not re.fullmatch(r"https?://[^/\s*?#@]+", origin.strip()):
            raise ValueError(f"expected origins such as https://app.example, got {origin.strip()!r}")
    return text


def _check_site(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"https?://[^\s?#@]+", text):
        raise ValueError(f"expected a site such as https://mirror.example, got {text!r}")
    return text


def _check_proxies(text: str | None) -> str | None:
    """Raises ValueError for anything that the server would compare with no address, and so ignore."""
    for each in text.split(",") if text is not None else ():
        try:
            ip_network(each.strip())
        except ValueError as error:
            raise ValueError(f"expected addresses or networks such as 10.0.0.0/8, got {each.strip()!r}") from error
    return text


def _check_search(text: str) -> str:
    """Raises ValueError. The text itself is not in the message, since it may have a password."""
    if "://" not in text:
        text = text.lower()
    if text not in ("exact", "hnsw", "pgvector", "pgvector-hnsw") and not text.startswith("milvus://"):
        raise ValueError("expected exact, hnsw, pgvector, pgvector-hnsw or milvus://host:port")
    if "@" in text:
        raise ValueError("expected an address without a password, which belongs into LIKENESS_SEARCH_TOKEN")
    return text


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _worker_count(value: Any) -> Any:
    return workers_that_fit() if _lower(value) == "auto" else value


def _models_dir() -> Path:
    here = Path("models")
    return here if (here / "mtcnn").is_dir() else BUNDLED_MODELS


Duration = Annotated[timedelta, BeforeValidator(_duration)]
AnyCase = BeforeValidator(_lower)
"""Lets a choice be written in capitals."""


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="LIKENESS_", env_file=(".env", CHOICES_FILE), env_ignore_empty=True, extra="ignore", frozen=True
    )

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    published_on: str | None = Field(
        None,
        description="Address that the container's port is published on; it decides, instead of the host, who can reach "
        "the service.",
    )
    trusted_proxies: Annotated[str | None, AfterValidator(_check_proxies)] = Field(
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
    cors_origins: Annotated[str | None, AfterValidator(_check_origins)] = Field(
        None,
        description="Origins whose pages may send requests from a browser, separated by commas: "
        "`https://app.example`. Without it, browsers keep other pages from reading answers.",
    )
    page: bool = Field(default=True, description="Serve the page for people at `/`; `off` removes it.")
    data_dir: Path = Field(Path("data"), description="Directory of the gallery's database.")
    database: SecretStr | None = Field(
        None,
        description="Address of a PostgreSQL database (`postgresql://user@host/name`, extra `postgres`) that several "
        "machines share, instead of the file in `data_dir`. libpq's variables (`PGPASSWORD`, `PGPASSFILE`) hold too.",
    )
    models_dir: Path = Field(
        default_factory=_models_dir,
        description="Directory with one folder per model. By default `models` in the current directory if it holds the "
        "detector `mtcnn`, else the models that were installed with Likeness.",
    )
    model: str = Field(
        "mobilefacenet-128", pattern=r"^[A-Za-z0-9._-]+$", description="Name of the embedder's model folder."
    )
    models_mirror: Annotated[str | None, AfterValidator(_check_site)] = Field(
        None,
        description="Site with the files of `likeness models pull` at the same paths as their own sites: "
        "`https://mirror.example/models`.",
    )

    search: Annotated[str, AfterValidator(_check_search)] = Field(
        "exact",
        description="`exact` compares a photo with every face; `hnsw` follows a graph of near faces, which is faster "
        "from a million faces on, and misses some: `likeness gallery recall` says how many. Indexes outside of the "
        "service: `pgvector` or `pgvector-hnsw` in PostgreSQL, or `milvus://host:19530` (extra `milvus`).",
    )
    search_token: SecretStr | None = Field(None, description="Token of Milvus, or `user:password`.")
    search_in_clear: bool = Field(
        default=False,
        description="Let pgvector or Milvus hold vectors that the encryption key does not protect; without it, they "
        "are refused together with a key.",
    )
    provider: Annotated[Provider, AnyCase] = Field(
        "auto",
        description="Execution provider: `auto`, `cpu`, `cuda`, `tensorrt` or `openvino` (for the embedder alone). If "
        "it cannot be used, the start fails. `auto` takes CUDA where there is a GPU, or else OpenVINO if it is "
        "installed and faster.",
    )
    workers: Annotated[int, BeforeValidator(_worker_count)] = Field(
        1,
        ge=1,
        le=MOST_WORKERS,
        description="Processes that serve the port; each applies the limits below on its own. `auto` is one for each "
        "core, or each GiB of memory if that is fewer.",
    )
    threads: int = Field(1, ge=1, le=64, description="Threads of one inference.")
    photo_threads: int = Field(
        default_factory=usable_cores, ge=1, le=256, description="Photos processed at the same time."
    )
    max_waiting: int = Field(64, ge=1, le=_LARGE, description="Photos that may wait; beyond that, requests get 503.")
    max_faces: int = Field(
        500,
        ge=1,
        le=_LARGE,
        description="Faces processed per photo, the largest first; `faces_found` counts all of them.",
    )
    max_batch: int = Field(8, ge=1, le=256, description="Faces embedded in one inference.")
    deadline: float = Field(30.0, gt=0, le=_DAY, description="Seconds after which a request is abandoned with 504.")

    long_deadline: float = Field(
        3600.0, gt=0, le=_DAY, description="The same for /cluster and imports, which keep what they have answered."
    )

    max_image_bytes: int = Field(10 * 1024 * 1024, ge=1, le=_LARGE, description="Bytes of one image; more gets 413.")
    max_image_pixels: int = Field(
        40_000_000, ge=1, le=_LARGE, description="Pixels of one image, checked before decoding; more gets 413."
    )
    max_body_bytes: int = Field(
        64 * 1024 * 1024, ge=1, le=2**40, description="Bytes of a request's body; more gets 413."
    )
    max_metadata_bytes: int = Field(
        16 * 1024, ge=2, le=_LARGE, description="Bytes of one subject's metadata, as JSON in UTF-8; more gets 422."
    )
    max_line_bytes: int = Field(
        1024 * 1024,
        ge=1024,
        le=_LARGE,
        description="Bytes of one line of an import, which is one subject with its faces; a longer one is refused.",
    )
    max_faces_per_subject: int = Field(
        50, ge=0, le=_LARGE, description="Faces of one subject; more gets 422. 0 is no limit."
    )
    max_subjects_per_gallery: int = Field(
        0, ge=0, le=_LARGE, description="Subjects of one gallery; more gets 422. 0 is no limit."
    )
    max_faces_per_gallery: int = Field(
        0, ge=0, le=_LARGE, description="Faces of one gallery; more gets 422. 0 is no limit."
    )
    max_header_bytes: int = Field(
        16 * 1024, ge=1024, le=2**24, description="Bytes of a request's headers; more gets 431."
    )
    head_timeout: float = Field(
        10.0, gt=0, le=_DAY, description="Seconds to receive a request's headers; then the connection is closed."
    )
    upload_timeout: float = Field(
        20.0, gt=0, le=_DAY, description="Seconds to receive a request's body; then it gets 408."
    )
    max_connections: int = Field(
        1024, ge=1, le=1_000_000, description="Open connections; further ones are closed at once."
    )
    rate_limit: int = Field(
        1000, ge=0, le=_LARGE, description="Requests per second of one key or address; more gets 429. 0 is no limit."
    )
    max_concurrent: int = Field(
        256, ge=0, le=_LARGE, description="Simultaneous requests of one key or address; more gets 429. 0 is no limit."
    )
    subject_attempts_per_hour: int = Field(
        100,
        ge=0,
        le=_LARGE,
        description="Verifications of one subject per hour by one key without the scope `admin`; more gets 429. 0 is "
        "no limit.",
    )
    subject_namings_per_hour: int = Field(
        200,
        ge=0,
        le=_LARGE,
        description="Answers of /identify per hour that name one subject to one key without the scope `admin`; then "
        "the subject is left out of the answers to that key. 0 is no limit.",
    )

    min_face: float | None = Field(
        None,
        ge=12,
        le=2000,
        description="Side in pixels of the smallest face to detect. A value selects facenet-pytorch's cascade, with "
        "identical boxes: 20 finds more of a distant crowd, takes three times as long and gives more false "
        "detections. Without it, a faster cascade finds faces from 40 px on.",
    )
    liveness: Annotated[Literal["off", "on"], AnyCase] = Field(
        "off",
        description="`on` loads the model `pad`, so that requests may ask whether a face is live or a picture of one. "
        "The answer is advisory: see liveness.md.",
    )
    liveness_threshold: float = Field(
        0.5, ge=0, le=1, description="Smallest `liveness.score` of a face that counts as live."
    )
    default_fmr: float = Field(1e-4, gt=0, lt=1, description="FMR of /verify if the request names none.")
    default_fpir: float = Field(0.01, gt=0, lt=1, description="FPIR of /identify if the request names none.")
    max_threshold: float | None = Field(
        None,
        gt=0,
        le=4,
        description="Largest threshold against enrolled faces that a key without the scope `admin` may ask for. By "
        "default that of an FMR of 0.001, or 1.1 without a calibration; the default threshold is always allowed.",
    )

    enroll_min_size: float = Field(0.25, ge=0, le=1, description="Smallest `quality.size` accepted for enrolment.")
    enroll_min_sharpness: float = Field(
        0.15, ge=0, le=1, description="Smallest `quality.sharpness` accepted for enrolment."
    )
    enroll_min_frontality: float = Field(
        0.2, ge=0, le=1, description="Smallest `quality.frontality` accepted for enrolment."
    )
    enroll_min_inside: float = Field(0.6, ge=0, le=1, description="Smallest `quality.inside` accepted for enrolment.")

    encryption_key: SecretStr | None = Field(
        None,
        description="Encrypts templates and metadata: base64 of 32 bytes. If there are several, the first encrypts.",
    )
    encryption_key_file: Path | None = Field(None, description="A file that holds the encryption key or keys instead.")
    data_keys_dir: Path | None = Field(
        None,
        description="Directory of the data keys of an encrypted gallery, for a volume that no snapshot of the database "
        "includes. By default they are beside the database.",
    )
    keep_crops: bool = Field(
        default=False,
        description="Also store the aligned crop of each enrolled face, so that `likeness gallery re-embed` can give a "
        "gallery another model without new photos. A crop is a small picture of the face.",
    )
    retention: Duration | None = Field(None, description="Faces enrolled longer ago than this (90d, 12h) are erased.")
    audit_searches: bool = Field(
        default=True, description="Also record identifications and verifications of subjects in the audit log."
    )

    log_format: Annotated[Style, AnyCase] = Field(
        "json", description="`json` writes one JSON object per line, `text` is for people."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], AnyCase] = Field(
        "info", description="Lowest level that is logged: `debug`, `info`, `warning` or `error`."
    )
    tracing: bool = Field(
        default=False, description="Send OpenTelemetry traces (extra `otel`) to where the `OTEL_*` variables say."
    )
    shutdown_delay: float = Field(
        0.0,
        ge=0,
        le=300,
        description="Seconds for which a stopping service still accepts requests, although it reports not to be ready.",
    )

    @property
    def photos_at_once(self) -> int:
        """In each worker: `photo_threads` where it was given, else a share of the cores."""
        return (
            self.photo_threads if "photo_threads" in self.model_fields_set else max(1, usable_cores() // self.workers)
        )
