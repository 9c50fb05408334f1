"""Every option once, with its meaning and bounds: environment variables `LIKENESS_*`, or a file `.env`."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.runtime.session import Provider


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="LIKENESS_", env_file=".env", extra="ignore", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    data_dir: Path = Field(Path("data"), description="Where the gallery is kept.")
    models_dir: Path = Field(Path("models"), description="Where the model folders are.")
    model: str = Field("mobilefacenet-128", pattern=r"^[A-Za-z0-9._-]+$", description="Folder of the embedder.")

    provider: Provider = Field(
        "auto", description="What runs the networks. One that is named and cannot be used stops the start."
    )
    threads: int = Field(1, ge=1, le=64, description="Threads inside one run of a network.")
    photo_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1, ge=1, le=256, description="Photos worked on at once."
    )
    max_waiting: int = Field(64, ge=1, description="Photos beyond these are refused with 503.")
    max_batch: int = Field(8, ge=1, le=256, description="Faces embedded in one run.")
    deadline: float = Field(30.0, gt=0, description="Seconds after which a photo is given up with 504.")

    max_image_bytes: int = Field(10 * 1024 * 1024, ge=1, description="Bytes of one image; 413 beyond.")
    max_image_pixels: int = Field(40_000_000, ge=1, description="Pixels of one image; 413 beyond, before decoding.")
    max_body_bytes: int = Field(64 * 1024 * 1024, ge=1, description="Bytes of a whole request; 413 beyond.")

    min_face: float = Field(20.0, ge=12, description="Side of the smallest face looked for, in pixels.")
    default_fmr: float = Field(1e-4, gt=0, lt=1, description="FMR promised by /verify where the caller names none.")
    default_fpir: float = Field(0.01, gt=0, lt=1, description="FPIR promised by /identify where the caller names none.")

    enroll_min_size: float = Field(0.25, ge=0, le=1, description="Quality bound of enrolment: size.")
    enroll_min_sharpness: float = Field(0.15, ge=0, le=1, description="Quality bound of enrolment: sharpness.")
    enroll_min_frontality: float = Field(0.2, ge=0, le=1, description="Quality bound of enrolment: frontality.")
    enroll_min_inside: float = Field(0.6, ge=0, le=1, description="Quality bound of enrolment: inside.")
