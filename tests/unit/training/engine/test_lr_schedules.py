from pathlib import Path

import pytest

from training.config.loading import UnusableConfig
from training.config.optimizer import OptimizerConfig
from training.engine.lr_schedules import lr_schedule, read_schedule

CONFIG = OptimizerConfig(steps=120, lr=0.01, warmup_steps=20)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lrs.txt"
    path.write_text("# as davidsandberg/facenet has it\n0: 0.05\n\n50: 0.005  # finer\n100: 0.0005\n", encoding="utf-8")
    return path


def test_the_warmup_is_linear() -> None:
    lrs = [lr_schedule(CONFIG)(step) for step in range(21)]
    assert lrs[:20] == pytest.approx([0.01 * (step + 1) / 20 for step in range(20)])
    assert lrs[20] == 0.01


def test_the_cosine_schedule_falls_by_half_a_cosine() -> None:
    lrs = [lr_schedule(CONFIG)(step) for step in range(20, 120)]
    assert lrs == sorted(lrs, reverse=True)
    assert lr_schedule(CONFIG)(70) == pytest.approx(0.005)
    assert 0 < lrs[-1] < 1e-5


def test_the_constant_schedule_stays_at_the_peak() -> None:
    constant = lr_schedule(CONFIG.model_copy(update={"schedule": "constant"}))
    assert {constant(step) for step in range(20, 120)} == {0.01}
    assert constant(0) == pytest.approx(0.0005)
    assert lr_schedule(CONFIG.model_copy(update={"schedule": "constant", "warmup_steps": 0}))(0) == 0.01


def test_the_exponential_schedule_falls_by_a_constant_factor() -> None:
    lr = lr_schedule(CONFIG.model_copy(update={"schedule": "exponential", "decay": 0.04}))
    assert lr(20) == 0.01
    assert lr(70) == pytest.approx(0.01 * 0.2)
    assert lr(120) == pytest.approx(0.01 * 0.04)
    assert lr(31) / lr(30) == pytest.approx(lr(91) / lr(90))


def test_a_schedule_file_holds_each_value_until_the_next(file: Path) -> None:
    lr = lr_schedule(OptimizerConfig(schedule="file", schedule_file=file, warmup_steps=10))
    assert [lr(step) for step in (10, 49, 50, 99, 100, 10_000)] == [0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005]
    assert lr(0) == pytest.approx(0.005)


def test_a_schedule_file_may_count_epochs_as_facenets_does(file: Path) -> None:
    config = OptimizerConfig(
        schedule="file", schedule_file=file, schedule_unit="epochs", epochs=500, epoch_size=1000, warmup_steps=0
    )
    lr = lr_schedule(config)
    assert [lr(step) for step in (0, 49_999, 50_000, 99_999, 100_000)] == [0.05, 0.05, 0.005, 0.005, 0.0005]
    assert config.steps == 500_000


def test_the_staircase_falls_at_once_after_every_so_many_epochs() -> None:
    lr = lr_schedule(
        OptimizerConfig(schedule="staircase", lr=0.1, decay=0.5, decay_epochs=2, epoch_size=10, warmup_steps=0)
    )
    assert [lr(step) for step in (0, 19, 20, 39, 40, 60)] == [0.1, 0.1, 0.05, 0.05, 0.025, 0.0125]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0: 0.05\n50 0.005\n", r"lrs\.txt, line 2: expected 'step: lr', got '50 0\.005'"),
        ("0: -1\n", r"line 1: expected a step and a learning rate of at least 0, got '0: -1'"),
        ("0: nan\n", r"line 1: expected a step and a learning rate of at least 0"),
        ("5: 0.1\n", r"lrs\.txt: expected steps ascending from 0, got \[5\]"),
        ("0: 0.1\n9: 0.1\n9: 0.2\n", r"expected steps ascending from 0, got \[0, 9, 9\]"),
        ("", r"expected steps ascending from 0, got \[\]"),
    ],
)
def test_a_file_in_another_format_is_refused_with_its_line(file: Path, text: str, complaint: str) -> None:
    file.write_text(text, encoding="utf-8")
    with pytest.raises(UnusableConfig, match=complaint):
        read_schedule(file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableConfig, match=r"optimizer\.schedule_file: .*nowhere\.txt: .*No such file"):
        read_schedule(tmp_path / "nowhere.txt")
