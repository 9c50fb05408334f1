"""Settings of the processes: how many, what they log, and how they stop."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from app.concurrency.machine import MOST_WORKERS, usable_cores, workers_that_fit
from app.observability.logging import Style
from app.settings.value_types import AnyCase, lower


def _worker_count(value: Any) -> Any:
    return workers_that_fit() if lower(value) == "auto" else value


class ProcessSettings(BaseModel):
    workers: Annotated[int, BeforeValidator(_worker_count)] = Field(
        1,
        ge=1,
        le=MOST_WORKERS,
        description="Processes that serve the port; each applies the limits below on its own. `auto` is one for each "
        "core, or each GiB of memory if that is fewer.",
    )
    photo_threads: int = Field(
        default_factory=usable_cores, ge=1, le=256, description="Photos processed at the same time."
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
