"""Every option of a training run: its meaning, default and bounds; long sections have files of their own."""

import hashlib
from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import Field, model_validator

from training.config.augmentation import AugmentationConfig
from training.config.evaluation import EvaluationConfig
from training.config.losses import LossConfig, PretrainingConfig, SoftmaxConfig
from training.config.optimizer import OptimizerConfig
from training.config.section import Decay, Section, Share
from training.networks.embedder import Views

ScalarWriterName: TypeAlias = Literal["tensorboard", "mlflow", "wandb"]


class RunConfig(Section):
    seed: int = Field(default=1, ge=0, description="For sampling, augmentation and fresh weights.")
    threads: int = Field(default=2, ge=1, description="PyTorch's threads. Another number may change the last bits.")
    num_workers: int = Field(default=1, ge=1, le=64, description="Workers that read and augment the next batch.")
    workers: Literal["threads", "processes"] = Field(
        default="threads",
        description="processes for many workers: Python's part of the work is done by one thread at a time.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto is CUDA where there is one.")
    precision: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="The network's arithmetic; weights and losses stay float32. float16 needs CUDA."
    )
    tf32: bool = Field(default=False, description="Multiply float32 on NVIDIA GPUs with 10 bits of fraction: faster.")
    compile: bool = Field(
        default=False, description="Compile the network (torch.compile): steps are faster after a minute or more."
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Keep only the inputs of the network's blocks for the gradient, and compute the rest twice: less "
        "memory, the same result.",
    )
    checkpoint_every: int = Field(default=50, ge=1, description="Steps between two checkpoints.")
    keep_checkpoints: int = Field(default=2, ge=1, le=100, description="The newest checkpoints that are kept.")
    gpu_memory_fraction: float = Field(
        default=1, gt=0, le=1, description="Share of a GPU's memory that a process may take; nothing on a CPU."
    )
    log_to: tuple[ScalarWriterName, ...] = Field(
        default=("tensorboard",),
        description="Where the scalars of each step go: tensorboard, mlflow, wandb; the last two are extras.",
    )

    @model_validator(mode="after")
    def _checkpointing_is_not_compiled(self) -> Self:
        if self.compile and self.gradient_checkpointing:
            raise ValueError("gradient_checkpointing: expected false with run.compile, got both")
        return self


class DataConfig(Section):
    roots: tuple[Path, ...] = Field(
        min_length=1,
        description="Folders with one folder per person or with tar shards, CSV files with columns path and person, "
        ".tar files, or insightface's .rec files.",
    )
    index: Path | None = Field(
        default=None,
        description="A file that remembers the digests of unchanged images, for other runs too; None is faces.index "
        "in the folder of the run.",
    )
    minimum_faces: int = Field(default=2, ge=1, description="People with fewer usable crops are left out.")
    exclude: tuple[Path, ...] = Field(
        default=(), description="Lists of files to leave out, as `clean` writes them; in text, root/folder/file a line."
    )
    rescaled: bool = Field(
        default=False,
        description="Resize crops that were prepared for a network of another size. The service aligns at the "
        "network's own size, so the network is trained on other pixels than it is served.",
    )
    bare: bool = Field(
        default=False,
        description="Accept aligned crops of the network's own size without a margin, as insightface's; it is black.",
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


class HealthChecksConfig(Section):
    patience: int = Field(
        default=50, ge=0, description="Steps that a collapse must last to stop the run. 0 disables all checks."
    )


class TrainConfig(Section):
    run: RunConfig = RunConfig()
    data: DataConfig
    network: NetworkConfig = NetworkConfig()
    teacher: TeacherConfig = TeacherConfig()
    batch: BatchConfig = BatchConfig()
    offline_mining: OfflineMiningConfig = OfflineMiningConfig()
    pretraining: PretrainingConfig = PretrainingConfig()
    softmax: SoftmaxConfig = SoftmaxConfig()
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
    def _divided_centers_are_never_skipped_alone(self) -> Self:
        if self.softmax.divided and self.run.precision == "float16":
            raise ValueError("softmax.divided: expected run.precision float32 or bfloat16, got float16")
        return self

    @model_validator(mode="after")
    def _offline_mining_has_triplets(self) -> Self:
        if self.offline_mining.every and self.loss.kind != "triplet":
            raise ValueError("offline_mining.every: only triplets are mined offline; set 0")
        return self

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
