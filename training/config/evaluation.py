"""The options of `[evaluation]`: measurements while a network trains."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from training.config.section import Section


class EvaluationConfig(Section):
    every: int = Field(default=0, ge=0, description="Steps between evaluations; the best weights are kept. 0 is none.")
    held_out: float = Field(default=0, ge=0, le=0.5, description="Share of the people never trained on.")
    seed: int = Field(default=0, ge=0, description="Chooses the held-out people, independently of run.seed.")
    roots: tuple[Path, ...] = Field(default=(), description="Other people to evaluate on, instead of held-out ones.")
    shared_names: Literal["refuse", "accept"] = Field(
        default="refuse", description="Whether equal names in training and evaluation may be different people."
    )
    fmr: float = Field(default=1e-3, gt=0, lt=1, description="The FMR of the TMR; raised to what the people support.")
    block_size: int = Field(
        default=2048, ge=1, description="Faces compared at once, in 25 * block_size^2 bytes; the result is the same."
    )
    best_by: Literal["auc", "tmr"] = Field(default="auc", description="The measure that the best weights maximise.")
    photos: Path | None = Field(default=None, description="Photos of `pairs`, measured by LFW's protocol as well.")
    pairs: Path | None = Field(default=None, description="A list as `evaluate lfw` takes it.")
    folds: int | None = Field(default=None, ge=2, description="Cut the pairs into so many folds; None is their own.")
    models_dir: Path = Field(default=Path("models"), description="Has the detector that finds the faces of `photos`.")
    cache: Path | None = Field(
        default=None, description="A folder for the faces found in `photos`; None is in the folder of the run."
    )

    @model_validator(mode="after")
    def _has_people_to_evaluate_on(self) -> Self:
        if self.held_out and self.roots:
            raise ValueError("expected either held_out or roots to evaluate on, got both")
        if self.every and not (self.held_out or self.roots or self.pairs):
            raise ValueError("every: expected held_out, roots or pairs to evaluate on")
        return self

    @model_validator(mode="after")
    def _pairs_have_photos(self) -> Self:
        if (self.pairs is None) != (self.photos is None):
            raise ValueError("expected photos and pairs, or neither")
        if self.pairs and not self.every:
            raise ValueError("pairs: expected evaluation.every, the steps between two evaluations")
        return self
