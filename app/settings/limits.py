"""Settings of how much a request, a connection, a caller or a gallery may take."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app.settings.value_types import DAY, LARGE


class LimitSettings(BaseModel):
    max_waiting: int = Field(64, ge=1, le=LARGE, description="Photos that may wait; beyond that, requests get 503.")
    max_faces: int = Field(
        500,
        ge=1,
        le=LARGE,
        description="Faces processed per photo, the largest first; `faces_found` counts all of them.",
    )
    deadline: float = Field(30.0, gt=0, le=DAY, description="Seconds after which a request is abandoned with 504.")
    long_deadline: float = Field(
        3600.0, gt=0, le=DAY, description="The same for /cluster and imports, which keep what they have answered."
    )
    max_image_bytes: int = Field(10 * 1024 * 1024, ge=1, le=LARGE, description="Bytes of one image; more gets 413.")
    max_image_pixels: int = Field(
        40_000_000, ge=1, le=LARGE, description="Pixels of one image, checked before decoding; more gets 413."
    )
    max_body_bytes: int = Field(
        64 * 1024 * 1024, ge=1, le=2**40, description="Bytes of a request's body; more gets 413."
    )
    max_metadata_bytes: int = Field(
        16 * 1024, ge=2, le=LARGE, description="Bytes of one subject's metadata, as JSON in UTF-8; more gets 422."
    )
    max_line_bytes: int = Field(
        1024 * 1024,
        ge=1024,
        le=LARGE,
        description="Bytes of one line of an import, which is one subject with its faces; a longer one is refused.",
    )
    max_faces_per_subject: int = Field(
        50, ge=0, le=LARGE, description="Faces of one subject; more gets 422. 0 is no limit."
    )
    max_subjects_per_gallery: int = Field(
        0, ge=0, le=LARGE, description="Subjects of one gallery; more gets 422. 0 is no limit."
    )
    max_faces_per_gallery: int = Field(
        0, ge=0, le=LARGE, description="Faces of one gallery; more gets 422. 0 is no limit."
    )
    max_header_bytes: int = Field(
        16 * 1024, ge=1024, le=2**24, description="Bytes of a request's headers; more gets 431."
    )
    head_timeout: float = Field(
        10.0, gt=0, le=DAY, description="Seconds to receive a request's headers; then the connection is closed."
    )
    upload_timeout: float = Field(
        20.0, gt=0, le=DAY, description="Seconds to receive a request's body; then it gets 408."
    )
    max_connections: int = Field(
        1024, ge=1, le=1_000_000, description="Open connections; further ones are closed at once."
    )
    rate_limit: int = Field(
        1000, ge=0, le=LARGE, description="Requests per second of one key or address; more gets 429. 0 is no limit."
    )
    max_concurrent: int = Field(
        256, ge=0, le=LARGE, description="Simultaneous requests of one key or address; more gets 429. 0 is no limit."
    )
    subject_attempts_per_hour: int = Field(
        100,
        ge=0,
        le=LARGE,
        description="Verifications of one subject per hour by one key without the scope `admin`; more gets 429. 0 is "
        "no limit.",
    )
    subject_namings_per_hour: int = Field(
        200,
        ge=0,
        le=LARGE,
        description="Answers of /identify per hour that name one subject to one key without the scope `admin`; then "
        "the subject is left out of the answers to that key. 0 is no limit.",
    )
