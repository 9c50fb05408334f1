"""The pages on training name options that exist, and their configs are valid."""

import re
from pathlib import Path

import pytest

from training.config.loading import load
from training.config.schema import TrainConfig

DOCS = Path(__file__).resolve().parents[3] / "docs"
SEED = (DOCS / "training" / "facenet.md").read_text(encoding="utf-8")
PAGES = [DOCS / "training.md", *sorted((DOCS / "training").glob("*.md"))]
OPTIONS = {
    f"{section}.{option}"
    for section, field in TrainConfig.model_fields.items()
    for option in getattr(field.annotation, "model_fields", ())
}
ARGUMENTS = """
    logs_base_dir models_base_dir gpu_memory_fraction pretrained_model data_dir model_def max_nrof_epochs batch_size
    image_size people_per_batch images_per_person epoch_size alpha embedding_size random_crop random_flip
    keep_probability weight_decay optimizer learning_rate learning_rate_decay_epochs learning_rate_decay_factor
    moving_average_decay seed learning_rate_schedule_file lfw_pairs lfw_dir lfw_nrof_folds
"""


def test_the_table_has_every_argument_of_facenets_trainer() -> None:
    rows = re.findall(r"^\| (.*?) \| (.*?) \|", SEED.split("## Its arguments")[1].split("\n## ")[0], re.MULTILINE)
    named = [name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(ARGUMENTS.split())
    assert all("`" in ours for cell, ours in rows if "`" in cell)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_option_that_a_page_names_exists(page: Path) -> None:
    sections = "|".join(TrainConfig.model_fields)
    named = set(re.findall(rf"`((?:{sections})\.\w+)", page.read_text(encoding="utf-8")))
    assert named - OPTIONS - {"network.pt", "run.json"} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_config_on_a_page_is_valid(page: Path, tmp_path: Path) -> None:
    for number, text in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)):
        (tmp_path / f"{number}.toml").write_text(text, encoding="utf-8")
        assert load(tmp_path / f"{number}.toml").data.roots


def test_the_preset_has_the_default_arguments() -> None:
    config = load(DOCS.parent / "training" / "config" / "presets" / "facenet.toml")
    assert (config.run.seed, config.run.keep_checkpoints, config.run.gpu_memory_fraction) == (666, 3, 1)
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.ema_decay, optimizer.steps) == ("adagrad", 0.1, 0.9999, 500_000)
    assert (optimizer.schedule, optimizer.decay_epochs, optimizer.decay) == ("staircase", 100, 1)
    assert config.batch.people * config.batch.faces == 90
    assert (config.offline_mining.people, config.offline_mining.faces) == (45, 40)
    assert (config.loss.miner, config.loss.margin) == ("violating", 0.2)
    assert (config.network.name, config.network.embedding_size) == ("inception_resnet_v1", 128)
