"""The fields of requests beside their images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, model_validator

from app.api.image_fields import MAX_IMAGES
from app.domain.clock import RFC_3339, now, parse_time
from app.faces.liveness import LivenessMode
from app.faces.orientation import Orientation
from app.faces.selection import FaceRule
from app.gallery.limits import ID_PATTERN, MAX_CONSENT, check_serializable
from app.pipeline import FaceSelection

MAX_TOP_K = 100
MAX_DIMENSION = 4096
MAX_MOVED = 1000


def _reject_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("expected a number, got a boolean")
    return value


def _check_future(text: str) -> str:
    """Return the time as it is stored, or the empty text. Raises ValueError for a time that is past."""
    moment = parse_time(text) if text else ""
    if text and moment <= now():
        raise ValueError(f"expected a time in the future, got {moment}")
    return moment


def _is_true(value: object) -> bool:
    """Return the value of a switch: true or false in JSON, and the same words in a form. Raises ValueError."""
    if isinstance(value, bool):
        return value
    if value not in ("true", "false"):
        raise ValueError(f"expected true or false, got {value!r:.100}")
    return value == "true"


Metadata = Annotated[dict[str, Any], AfterValidator(check_serializable)]
Expiry = Annotated[str, AfterValidator(_check_future)]
Rate = Annotated[float, Field(gt=0, lt=1), BeforeValidator(_reject_bool)]
Threshold = Annotated[float, Field(ge=0, le=4), BeforeValidator(_reject_bool)]
Count = Annotated[int, BeforeValidator(_reject_bool)]
Switch = Annotated[bool, BeforeValidator(_is_true)]


class NoFields(BaseModel):
    """
    Refuses unknown fields: a misspelt `treshold` must not select the default threshold silently.

    A known field that is null counts as absent.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, fields: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if value is not None or name not in cls.model_fields}


class PhotoFields(NoFields):
    orientation: Orientation = Field(
        "auto",
        description="With `auto`, a photo in which no face is beyond doubt is also turned by 90, 180 and 270 degrees; "
        "with `exif` it is only turned as its EXIF says.",
    )


class DetectFields(PhotoFields):
    crops: Switch = Field(default=False, description="Whether each face also has its aligned picture.")


class FaceFields(PhotoFields):
    face: FaceRule = Field(
        "largest", description="Which face of a photo to use; with `only`, several faces are an error."
    )


def _not_both(one: str, other: str) -> dict[str, Any]:
    """Return a JSON Schema that forbids both fields together; null counts as absent."""
    numbers = {name: {"type": "number"} for name in (one, other)}
    return {"not": {"required": [one, other], "properties": numbers}}


class LivenessFields(FaceFields):
    liveness: LivenessMode = Field(
        "off",
        description="With `report`, each face has a `liveness`; with `require`, a face that does not look live is an "
        "error. Both need a service with LIKENESS_LIVENESS=on.",
    )


Vector = Annotated[list[Annotated[float, Strict()]], Field(min_length=1, max_length=MAX_DIMENSION)]


def _digest_of(model: Any) -> Any:
    """Return the digest of a model as /embed describes it."""
    return model.get("digest") if isinstance(model, dict) else model


class VectorFields(LivenessFields):
    """Fields of requests that may have vectors in place of photos; classes with the vectors derive from it."""

    model: Annotated[str, BeforeValidator(_digest_of)] | None = Field(
        None, description="The digest of the model that made the vectors, or the whole `model` of the answer of /embed."
    )


def _vector(replaced: str) -> Any:
    return Field(None, description=f"In place of `{replaced}`, an `embedding` of /embed. Needs the scope `embed`, too.")


class SelectionFields(FaceFields):
    faces: Literal["largest", "all"] = Field("largest", description="With `all`, every face of a photo is used.")

    @property
    def selection(self) -> FaceSelection:
        return "all" if self.faces == "all" else self.face


class ThresholdFields(FaceFields):
    model_config = ConfigDict(json_schema_extra=_not_both("fmr", "threshold"))

    fmr: Rate | None = Field(None, description="Highest false match rate; the calibration gives the threshold for it.")
    threshold: Threshold | None = Field(None, description="Largest squared L2 distance of a match.")

    @model_validator(mode="after")
    def _check_bounds(self) -> ThresholdFields:
        if self.fmr is not None and self.threshold is not None:
            raise ValueError("expected fmr or threshold, got both")
        return self


class VerifyFields(ThresholdFields, LivenessFields): ...


class PairFields(VerifyFields, VectorFields):
    embedding1: Vector | None = _vector("image1")
    embedding2: Vector | None = _vector("image2")


class ClaimFields(VerifyFields, VectorFields):
    embedding: Vector | None = _vector("image")


class EnrollFields(VectorFields):
    on_duplicate: Literal["report", "reject"] = Field(
        "report",
        description="With `reject`, nothing is enrolled if a face matches another subject at the default threshold of "
        "/identify.",
    )
    embedding: Vector | None = _vector("image")
    embeddings: list[Vector] | None = Field(
        None, min_length=1, max_length=MAX_IMAGES, description="Several of them. Needs the scope `embed`, too."
    )


class IdentifyFields(SelectionFields, VectorFields):
    model_config = ConfigDict(json_schema_extra=_not_both("fpir", "threshold"))

    embedding: Vector | None = _vector("image")
    gallery: str = Field("default", pattern=ID_PATTERN, description="The gallery to search.")
    top_k: Count = Field(5, ge=1, le=MAX_TOP_K, description="Highest number of candidates per face.")
    fpir: Rate | None = Field(
        None, description="Highest chance of naming a stranger, at the present size of the gallery."
    )
    threshold: Threshold | None = Field(None, description="Largest squared L2 distance of a candidate.")

    @model_validator(mode="after")
    def _check_bounds(self) -> IdentifyFields:
        if self.fpir is not None and self.threshold is not None:
            raise ValueError("expected fpir or threshold, got both")
        return self


Id = Annotated[str, Field(pattern=ID_PATTERN)]


class MergeFields(NoFields):
    other: Id = Field(alias="from", description="The subject that gives its faces.")
    faces: list[Id] | None = Field(
        None,
        min_length=1,
        max_length=MAX_MOVED,
        description="The faces to move. Without it all are moved, and the subject that gives them is deleted.",
    )


class SubjectFields(NoFields):
    """A field that is absent stays unchanged."""

    metadata: Metadata | None = Field(None, description="Any JSON object; it is returned with candidates.")
    consent: str | None = Field(
        None,
        max_length=MAX_CONSENT,
        description="Your reference of the person's consent, such as the number of a document. It is stored and never "
        "interpreted. Empty text removes it.",
    )
    expires_at: Expiry | None = Field(
        None,
        json_schema_extra={"pattern": f"^({RFC_3339})?$"},
        description="An RFC 3339 time in the future, at which the subject is erased with all its faces, at the latest "
        "a minute later. Empty text removes it.",
    )


class UpdateFields(SubjectFields):
    """Fields of a subject that exists: a new id, or what SubjectFields changes."""

    id: Id | None = Field(None, description="A new id for the subject.")
