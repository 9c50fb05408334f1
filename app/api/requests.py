"""The fields that requests may bring beside their images. Unknown ones are errors."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.faces.selection import FaceRule
from app.gallery.codec import ID_PATTERN

MAX_TOP_K = 100
MAX_DEPTH = 32


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("want a number")
    return value


def _readable_back(metadata: dict[str, Any]) -> dict[str, Any]:
    """Later answers carry it, so what JSON or UTF-8 cannot say (NaN, half a surrogate pair) is refused now."""
    _check_depth(metadata, MAX_DEPTH)
    json.dumps(metadata, allow_nan=False, ensure_ascii=False).encode()
    return metadata


def _check_depth(value: Any, levels: int) -> None:
    if levels < 0:
        raise ValueError(f"want at most {MAX_DEPTH} levels")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        _check_depth(each, levels - 1)


Metadata = Annotated[dict[str, Any], AfterValidator(_readable_back)]
Rate = Annotated[float, Field(gt=0, lt=1), BeforeValidator(_no_bool)]
Threshold = Annotated[float, Field(ge=0, le=4), BeforeValidator(_no_bool)]
Count = Annotated[int, BeforeValidator(_no_bool)]


class FaceFields(BaseModel):
    """Unknown fields are errors: a misspelt `treshold` must not silently decide by another one."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    face: FaceRule = Field("largest", description="Which face of a photo is meant; `only`: several are an error.")


def _not_both(one: str, other: str) -> dict[str, Any]:
    """In the words of JSON Schema; null is as good as absent."""
    numbers = {name: {"type": "number"} for name in (one, other)}
    return {"not": {"required": [one, other], "properties": numbers}}


class VerifyFields(FaceFields):
    model_config = ConfigDict(json_schema_extra=_not_both("fmr", "threshold"))

    fmr: Rate | None = Field(None, description="False match rate to hold; the threshold follows from the calibration.")
    threshold: Threshold | None = Field(None, description="Largest squared L2 distance of a match.")

    @model_validator(mode="after")
    def _one_of_two(self) -> VerifyFields:
        if self.fmr is not None and self.threshold is not None:
            raise ValueError("want fmr or threshold, not both")
        return self


class IdentifyFields(FaceFields):
    model_config = ConfigDict(json_schema_extra=_not_both("fpir", "threshold"))

    gallery: str = Field("default", pattern=ID_PATTERN, description="Where to search.")
    top_k: Count = Field(5, ge=1, le=MAX_TOP_K, description="Candidates a face at most.")
    fpir: Rate | None = Field(None, description="Chance of naming a stranger to hold, for the gallery's present size.")
    threshold: Threshold | None = Field(None, description="Largest squared L2 distance of a candidate.")
    faces: Literal["largest", "all"] = Field("largest", description="`all` identifies every face of the photo.")

    @model_validator(mode="after")
    def _one_of_two(self) -> IdentifyFields:
        if self.fpir is not None and self.threshold is not None:
            raise ValueError("want fpir or threshold, not both")
        return self


class EmbedFields(FaceFields):
    faces: Literal["largest", "all"] = Field("largest", description="`all` embeds every face of each photo.")


class NoFields(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SubjectFields(NoFields):
    metadata: Metadata | None = Field(
        None, description="The caller's own; returned with candidates. Kept where absent."
    )
