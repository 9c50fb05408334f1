from pathlib import Path

import pytest

from training.config import loading
from training.config.loading import UnusableConfig, load
from training.config.schema import TrainConfig

RECIPE = Path(loading.__file__).parent / "presets" / "mobilefacenet-128.toml"
LEAST = '[data]\nroots = ["faces"]\n[loss]\nminer = "semi-hard"\ndistillation_weight = 0\n'
CONTRASTIVE = ["loss.kind = 'contrastive'", "loss.miner = 'balanced-pairs'"]


def written(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_default_recipe_is_valid_and_names_every_option_that_has_a_default() -> None:
    recipe = load(RECIPE)
    assert recipe.network.embedding_size == 128
    assert recipe.model_fields_set == set(TrainConfig.model_fields)
    for _, section in recipe:
        optional = {name for name, option in type(section).model_fields.items() if option.default is None}
        assert section.model_fields_set | optional == set(type(section).model_fields)


@pytest.mark.parametrize(
    ("mistake", "complaint"),
    [
        ("[optimiser]\nsteps = 9", r"run\.toml: optimiser is not an option"),
        ("[optimizer]\nstepz = 9", r"run\.toml: optimizer\.stepz is not an option"),
        ("[optimizer]\nsteps = 0", r"run\.toml: optimizer\.steps: .*greater than or equal to 1, got 0"),
        ("[batch]\npeople = 'many'", r"run\.toml: batch\.people: .*integer.*, got 'many'"),
        ("[augmentation]\nface_size = [90, 36]", r"face_size: expected 8 <= low <= high <= 112, got \[90, 36\]"),
        ("[augmentation", r"run\.toml: Expected"),
        ("[optimizer]\nschedule = 'file'", r"optimizer: schedule_file: expected a file if and only if schedule is"),
        ("[evaluation]\nevery = 5", r"evaluation: every: expected held_out, roots or pairs to evaluate on"),
        ("[evaluation]\nevery = 5\npairs = 'p.txt'", r"evaluation: expected photos and pairs, or neither"),
        ("[evaluation]\npairs = 'p'\nphotos = 'x'", r"evaluation: pairs: expected evaluation\.every"),
        ("[optimizer]\nepochs = 5", r"optimizer: epochs: expected an epoch_size, the number of batches in an epoch"),
        ("[optimizer]\nschedule = 'staircase'", r"optimizer: schedule: staircase: expected an epoch_size"),
        (
            "[optimizer]\nepochs = 5\nepoch_size = 3\nsteps = 9",
            r"epochs: expected epochs \* epoch_size = 15 steps, got 9",
        ),
        ("[evaluation]\nheld_out = 0.1\nroots = ['x']", r"evaluation: expected either held_out or roots"),
        ("[run]\nprecision = 'half'", r"run\.precision: .*'float32', 'bfloat16' or 'float16', got 'half'"),
        (["loss.kind = 'cosine'"], r"loss\.kind: expected one of triplet, contrastive, .*distillation, softmax, got"),
        (["loss.kind = 'contrastive'"], r"loss: miner: expected all-pairs or balanced-pairs .*, got 'semi-hard'"),
        (
            ["loss.miner = 'all-pairs'"],
            r"loss: miner: expected semi-hard or .*violating with the triplet loss, got 'all",
        ),
        (["softmax.loss = 'cosine'"], r"softmax\.loss: expected one of arcface, cosface, .*magface, got 'cosine'"),
        (["softmax.margin = 2"], r"softmax\.margin: .*less than 1\.5, got 2"),
        (["softmax.lower_norm = 200"], r"softmax: lower_norm: expected less than upper_norm, 110, got 200"),
        (["softmax.lower_margin = 1"], r"softmax: lower_margin: expected at most upper_margin, 0\.8, got 1"),
        (["loss.kind = 'distillation'"], r"loss: miner: expected none with the distillation loss, got 'semi-hard'"),
        (["loss.relational_weight = 1"], r"loss\.distillation_weight: expected network\.weights or teacher\.weights"),
        (["teacher.rotated = true"], r"teacher: rotated: expected teacher\.weights"),
        (["teacher.weights = 'other.pt'", "teacher.rotated = true"], r"teacher\.rotated: expected network\.weights"),
        (["teacher.weights = 'other.pt'", "teacher.start_share = 0.5"], r"start_share: expected rotated = true"),
        (["loss.distillation_weight = 1"], r"loss\.distillation_weight: expected network\.weights or teacher\.weights"),
        (
            ["run.compile = true", "run.gradient_checkpointing = true"],
            r"run: gradient_checkpointing: expected false with run\.compile, got both",
        ),
        (
            ["softmax.divided = true", "run.precision = 'float16'"],
            r"softmax\.divided: expected run\.precision float32 or bfloat16, got float16",
        ),
        ([*CONTRASTIVE, "offline_mining.every = 9"], r"offline_mining\.every: only triplets are mined offline; set 0"),
    ],
)
def test_a_mistake_of_the_file_or_an_override_is_refused_by_its_key(
    tmp_path: Path, mistake: str | list[str], complaint: str
) -> None:
    line, changes = (mistake, []) if isinstance(mistake, str) else ("", mistake)
    with pytest.raises(UnusableConfig, match=complaint):
        load(written(tmp_path, LEAST + line), changes)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            "optimizer.name=adam",
            r"^--set optimizer\.name=adam: expected OPTION=VALUE in TOML, as in --set 'opt.*\"adam\"'",
        ),
        (
            "optimizer.steps",
            r"^--set optimizer\.steps: expected OPTION=VALUE in TOML, as in --set optimizer\.steps=10$",
        ),
        ("optimizer.stepz=9", r"^--set optimizer\.stepz=9: optimizer\.stepz is not an option; optimizer\.steps is$"),
        ("optimizer.steps=0", r"^--set optimizer\.steps=0: optimizer\.steps: .*greater than or equal to 1, got 0$"),
        ("steps=9", r"^--set steps=9: steps is not an option; optimizer\.steps is$"),
    ],
)
def test_an_error_of_an_override_names_it(tmp_path: Path, change: str, complaint: str) -> None:
    with pytest.raises(UnusableConfig, match=complaint):
        load(written(tmp_path, LEAST), ["optimizer.lr=0.1", change])


def test_a_missing_file_or_section_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableConfig, match=r"nowhere\.toml: .*No such file"):
        load(tmp_path / "nowhere.toml")
    with pytest.raises(UnusableConfig, match=r"loss: Field required"):
        load(written(tmp_path, '[data]\nroots = ["faces"]\n'))


@pytest.mark.parametrize("path", sorted(RECIPE.parent.glob("*.toml")), ids=lambda path: path.stem)
def test_every_config_that_is_shipped_is_valid(path: Path) -> None:
    assert load(path).loss.margin == 0.2


def test_an_override_replaces_one_option_and_leaves_the_others(tmp_path: Path) -> None:
    before = load(written(tmp_path, LEAST + "[optimizer]\nsteps = 9\nclip_norm = 2\n"))
    after = load(tmp_path / "run.toml", ["optimizer.steps = 3", 'data.roots = ["a", "b"]'])
    assert (before.optimizer.steps, after.optimizer.steps, after.optimizer.clip_norm) == (9, 3, 2)
    assert after.data.roots == (Path("a"), Path("b"))
    assert before.digest != after.digest


def test_a_config_can_be_read_from_its_json() -> None:
    recipe = load(RECIPE)
    assert TrainConfig.model_validate(recipe.model_dump(mode="json")) == recipe


def test_every_option_has_a_description() -> None:
    sections = [field.annotation for field in TrainConfig.model_fields.values()]
    assert all(option.description for section in sections for option in section.model_fields.values())  # type: ignore[union-attr]


def test_epochs_are_steps_of_epoch_size_batches(tmp_path: Path) -> None:
    config = load(written(tmp_path, LEAST + "[optimizer]\nepochs = 5\nepoch_size = 30\n"))
    assert config.optimizer.steps == 150
    assert TrainConfig.model_validate(config.model_dump(mode="json")) == config
    assert load(tmp_path / "run.toml", ["optimizer.epochs=7"]).optimizer.steps == 210
