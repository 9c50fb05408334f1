import pytest

from training.config import OptimiserConfig
from training.schedules import schedule

CONFIG = OptimiserConfig(steps=120, learning_rate=0.01, warm_up=20)


def test_the_rate_rises_in_equal_parts_to_its_peak() -> None:
    rates = [schedule(CONFIG)(step) for step in range(21)]

    assert rates[:20] == pytest.approx([0.01 * (step + 1) / 20 for step in range(20)])
    assert rates[20] == 0.01


def test_the_rate_falls_as_half_a_cosine() -> None:
    rates = [schedule(CONFIG)(step) for step in range(20, 120)]

    assert rates == sorted(rates, reverse=True)
    assert schedule(CONFIG)(70) == pytest.approx(0.005)
    assert 0 < rates[-1] < 1e-5


def test_without_a_warm_up_it_starts_at_the_peak() -> None:
    assert schedule(OptimiserConfig(warm_up=0, learning_rate=0.01))(0) == 0.01
