"""Every option of a training run: its meaning, default and bounds."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from training.losses.objectives import LOSSES
from training.losses.reducers import REDUCERS
from training.networks.embedder import Views

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]


def one_of(names: Iterable[str]) -> AfterValidator:
    """Accept only these names, the keys of a registry."""

    def check(name: str) -> str:
        if name not in names:
            raise ValueError(f"expected one of {', '.join(names)}")
        return name

    return AfterValidator(check)


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunConfig(Section):
    seed: int = Field(default=1, ge=0, description="For sampling, augmentation and fresh weights.")
    threads: int = Field(default=2, ge=1, description="PyTorch's threads. Another number may change the last bits.")
    num_workers: int = Field(default=1, ge=1, le=64, description="Threads that read and augment the next batch.")
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto is CUDA where there is one.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="The network's arithmetic; weights and losses stay float32. float16 needs CUDA."
    )
    checkpoint_every: int = Field(default=50, ge=1, description="Steps between two checkpoints.")
    keep_checkpoints: int = Field(default=2, ge=1, le=100, description="The newest checkpoints that are kept.")
    gpu_memory_fraction: float = Field(
        default=1, gt=0, le=1, description="Share of a GPU's memory that a process may take; nothing on a CPU."
    )


class DataConfig(Section):
    roots: tuple[Path, ...] = Field(
        min_length=1, description="Folders with one folder per person, or CSV files with columns path and person."
    )
    index: Path | None = Field(
        default=None,
        description="A file that remembers the digests of unchanged images, for other runs too; None is faces.index "
        "in the folder of the run.",
    )
    minimum_faces: int = Field(default=2, ge=1, description="People with fewer usable crops are left out.")
    rescaled: bool = Field(
        default=False,
        description="Resize crops that were prepared for a network of another size. The service aligns at the "
        "network's own size, so the network is trained on other pixels than it is served.",
    )


class NetworkConfig(Section):
    name: str = Field(
        default="mobilefacenet",
        description="A name in training.networks.registry, or timm:NAME; NAME@SIZE takes crops of another size where "
        "the network can.",
    )
    embedding_size: int = Field(default=128, ge=2, description="Numbers in a vector.")
    weights: Path | None = Field(
        default=None, description="Starting weights, also the teacher's. None starts from scratch."
    )
    batch_norm: Literal["frozen", "updated"] = Field(
        default="frozen", description="Whether BatchNorm keeps the statistics of the starting weights."
    )
    dropout: Decay = Field(default=0, description="Dropout probability before the last layer.")
    per_image_scaling: bool = Field(
        default=False,
        description="Scale each image by its own mean and standard deviation, as davidsandberg/facenet does, in "
        "training, in evaluation and in the exported graph; otherwise all by the network's constants.",
    )


class TeacherConfig(Section):
    network: str | None = Field(default=None, description="The teacher's network; None is network.name.")
    weights: Path | None = Field(
        default=None, description="A state dict, or the folder of a served model; None is network.weights."
    )
    views: Views = Field(default="mirror", description="The views of a crop whose vectors are averaged.")
    rotated: bool = Field(
        default=False, description="Whether its vectors are rotated onto those of the starting weights (Procrustes)."
    )
    start_share: Share = Field(
        default=0, description="Share of the starting weights' vectors in the targets; needs rotated."
    )

    @model_validator(mode="after")
    def _only_another_teacher_is_rotated(self) -> Self:
        if self.rotated and self.weights is None:
            raise ValueError("rotated: expected teacher.weights, since the starting weights need no rotation")
        if self.start_share and not self.rotated:
            raise ValueError("start_share: expected rotated = true, since other vectors cannot be averaged")
        return self


class BatchConfig(Section):
    people: int = Field(default=32, ge=2, description="P of a P x K batch.")
    faces: int = Field(default=4, ge=2, description="K of a P x K batch.")
    fill: Literal["repeat", "people"] = Field(
        default="repeat",
        description="For people with fewer than K faces: repeat their faces, or add people until there are P x K "
        "different faces. Pools of offline mining too.",
    )
    chunk_size: int = Field(
        default=0, ge=0, description="Faces in memory at once, without changing the gradient. 0 is the whole batch."
    )


class OfflineMiningConfig(Section):
    every: int = Field(default=0, ge=0, description="Steps between two minings of a pool. 0 mines in each batch.")
    people: int = Field(default=200, ge=2, description="P of a P x K pool.")
    faces: int = Field(default=8, ge=2, description="K of a P x K pool.")
    used_once: bool = Field(
        default=False, description="Mine the next pool as soon as each triplet was used once, after `every` at most."
    )


class LossConfig(Section):
    kind: Annotated[str, one_of(LOSSES)] = Field(default="triplet", description=f"One of {', '.join(LOSSES)}.")
    miner: str = Field(
        default="none",
        description="Chooses what a batch is trained on: "
        + "; ".join(f"{', '.join(loss.miners)} with {kind}" for kind, loss in LOSSES.items())
        + ".",
    )
    margin: float = Field(
        default=0.2, gt=0, lt=4, description="triplet: alpha of FaceNet's eq. 3, in squared L2; contrastive: in L2."
    )
    reducer: Annotated[str, one_of(REDUCERS)] = Field(default="mean", description="From losses to one number.")
    distillation_weight: float = Field(
        default=2,
        ge=0,
        description="Weight of ||embedding - teacher's||^2. Without both weights, no teacher is needed.",
    )
    relational_weight: float = Field(
        default=0, ge=0, description="Weight of the squared differences to the teacher's cosines between faces."
    )

    @property
    def needs_teacher(self) -> bool:
        return self.distillation_weight > 0 or self.relational_weight > 0

    @model_validator(mode="after")
    def _miner_fits_the_loss(self) -> Self:
        miners = LOSSES[self.kind].miners
        if self.miner not in miners:
            raise ValueError(f"miner: expected {' or '.join(miners)} with the {self.kind} loss, got {self.miner!r}")
        return self


class PretrainingConfig(Section):
    steps: int = Field(default=0, ge=0, description="First steps, trained by ArcFace over the people. 0 is none.")
    scale: float = Field(default=32, gt=0, le=128, description="s of ArcFace's eq. 3.")
    margin: float = Field(default=0.5, ge=0, lt=1.5, description="m of ArcFace's eq. 3, in radians.")


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
    pairs: Path | None = Field(default=None, description="LFW's pairs.txt, or a CSV first,second,same,fold.")
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


class HealthChecksConfig(Section):
    patience: int = Field(
        default=50, ge=0, description="Steps that a collapse must last to stop the run. 0 disables all checks."
    )


class AugmentationConfig(Section):
    share: Share = Field(default=0.75, description="Share of the views that are changed at all.")
    flip: Share = Field(default=0.5, description="Of those, the share that is mirrored.")
    landmark_noise: float = Field(
        default=1, ge=0, le=8, description="Standard deviation of each landmark, in px of a 112 px crop."
    )
    shift: float = Field(default=0, ge=0, le=16, description="Largest move of the crop, in px of 112: a random crop.")
    scale: float = Field(default=0.03, ge=0, le=0.2, description="Standard deviation, as a share.")
    rotation: float = Field(default=1.2, ge=0, le=45, description="Standard deviation in degrees.")
    brightness: float = Field(default=0.1, ge=0, le=1, description="Largest shift, as a share of white.")
    contrast: float = Field(default=0.2, ge=0, lt=1, description="Largest change of the slope.")
    gamma: float = Field(default=0.2, ge=0, le=2, description="Largest change of the exponent's logarithm.")
    saturation: Share = Field(default=0, description="Largest change of the distance to grey, as a share.")
    tint: float = Field(default=0, ge=0, lt=1, description="Largest change of each channel, as a share.")
    degraded_share: Share = Field(default=0.35, description="Share of small or blurred views.")
    blur_share: Share = Field(default=0.3, description="Of those, the share that is blurred instead of small.")
    blur_sigma: tuple[Positive, Positive] = Field(default=(0.6, 2.0), description="Range in px of 112.")
    face_size: tuple[int, int] = Field(default=(36, 90), description="Range in px of a small crop's width.")
    jpeg_share: Share = Field(default=0.7, description="Share of degraded views that are kept as JPEG.")
    jpeg_quality: tuple[int, int] = Field(default=(30, 95), description="Range.")
    edge_share: Share = Field(default=0, description="Share of views cut at the photo's edge; targets are not cut.")
    edge_depth: float = Field(default=0.25, ge=0, le=0.5, description="Deepest cut, as a share of the crop's width.")

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        bounds = {"blur_sigma": (0, 20), "face_size": (8, 112), "jpeg_quality": (1, 100)}
        for name, (least, most) in bounds.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(f"{name}: expected {least} <= low <= high <= {most}, got [{low}, {high}]")
        return self


class TrainConfig(Section):
    run: RunConfig = RunConfig()
    data: DataConfig
    network: NetworkConfig = NetworkConfig()
    teacher: TeacherConfig = TeacherConfig()
    batch: BatchConfig = BatchConfig()
    offline_mining: OfflineMiningConfig = OfflineMiningConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    loss: LossConfig
    optimizer: OptimizerConfig = OptimizerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    health_checks: HealthChecksConfig = HealthChecksConfig()
    augmentation: AugmentationConfig = AugmentationConfig()

    @model_validator(mode="after")
    def _distillation_has_a_teacher(self) -> Self:
        if self.loss.needs_teacher and self.network.weights is None and self.teacher.weights is None:
            raise ValueError(
                "loss.distillation_weight: expected network.weights or teacher.weights; give one, or set 0"
            )
        if self.teacher.rotated and self.network.weights is None:
            raise ValueError("teacher.rotated: expected network.weights to rotate the teacher's vectors onto")
        return self

    @model_validator(mode="after")
    def _offline_mining_has_triplets(self) -> Self:
        if self.offline_mining.every and self.loss.kind != "triplet":
            raise ValueError("offline_mining.every: only triplets are mined offline; set 0")
        return self

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
