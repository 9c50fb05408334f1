"""The options of `[optimizer]`: steps, learning rate, optimizer and averaged weights."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from training.config.section import Decay, Section


class OptimizerConfig(Section):
    name: Literal["sgd", "adagrad", "adadelta", "adam", "adamw", "rmsprop"] = Field(
        default="sgd", description="sgd is with momentum; adagrad is FaceNet's."
    )
    steps: int = Field(default=120, ge=1, description="Batches in all; epochs * epoch_size if epochs are given.")
    epochs: int = Field(default=0, ge=0, description="Epochs in all, instead of steps. 0 counts in steps.")
    epoch_size: int = Field(default=0, ge=0, description="Batches in an epoch, the unit of some schedules.")
    lr: float = Field(default=0.01, gt=0, description="The learning rate at its peak.")
    warmup_steps: int = Field(default=20, ge=0, description="Steps of linear warm-up before the schedule.")
    schedule: Literal["cosine", "constant", "exponential", "staircase", "file"] = Field(
        default="cosine",
        description="cosine falls to 0, exponential to lr * decay; staircase multiplies by decay every decay_epochs.",
    )
    decay: float = Field(
        default=0.01, gt=0, le=1, description="Final share of the learning rate with exponential, factor of staircase."
    )
    decay_epochs: int = Field(default=100, ge=1, description="Epochs between two steps of staircase.")
    schedule_file: Path | None = Field(default=None, description="Lines 'step: lr'; each holds until the next.")
    schedule_unit: Literal["steps", "epochs"] = Field(
        default="steps", description="What the lines of schedule_file count; facenet's count epochs."
    )
    momentum: Decay = Field(default=0.9, description="For SGD and RMSProp.")
    nesterov: bool = Field(default=False, description="Nesterov's momentum, for SGD.")
    betas: tuple[Decay, Decay] = Field(default=(0.9, 0.999), description="For Adam and AdamW.")
    rho: Decay | None = Field(
        default=None, description="Decay of the mean square of gradients; None is 0.9 in Adadelta, 0.99 in RMSProp."
    )
    epsilon: float | None = Field(
        default=None, gt=0, description="Added to the root by which gradients are divided; None is PyTorch's default."
    )
    weight_decay: float = Field(default=0, ge=0, description="For every optimizer; decoupled in AdamW.")
    clip_norm: float = Field(default=5, gt=0, description="Largest norm of the gradient.")
    ema_decay: Decay = Field(default=0, description="Decay of a moving average of the weights to keep. 0 is none.")

    @model_validator(mode="before")
    @classmethod
    def _steps_of_epochs(cls, values: Any) -> Any:
        """Fill in the steps where only epochs are given."""
        if not isinstance(values, dict) or "steps" in values or not values.get("epochs"):
            return values
        epochs, size = values["epochs"], values.get("epoch_size")
        known = isinstance(epochs, int) and isinstance(size, int) and size > 0
        return {**values, "steps": epochs * size} if known else values

    @model_validator(mode="after")
    def _epochs_have_a_size(self) -> Self:
        in_epochs = {
            "epochs": self.epochs > 0,
            "schedule: staircase": self.schedule == "staircase",
            "schedule_unit: epochs": self.schedule_unit == "epochs",
        }
        if not self.epoch_size and any(in_epochs.values()):
            name = next(name for name, used in in_epochs.items() if used)
            raise ValueError(f"{name}: expected an epoch_size, the number of batches in an epoch")
        if self.epochs and self.steps != self.epochs * self.epoch_size:
            raise ValueError(
                f"epochs: expected epochs * epoch_size = {self.epochs * self.epoch_size} steps, got {self.steps}: "
                "leave out steps, or set epochs to 0"
            )
        return self

    @model_validator(mode="after")
    def _schedule_has_its_file(self) -> Self:
        if (self.schedule == "file") != (self.schedule_file is not None):
            raise ValueError("schedule_file: expected a file if and only if schedule is 'file'")
        return self
