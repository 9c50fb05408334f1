"""Settings of what is decided about faces: match or no match, and which of them may be enrolled."""

from __future__ import annotations

from pydantic import BaseModel, Field


class DecisionSettings(BaseModel):
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
