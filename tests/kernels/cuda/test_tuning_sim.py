"""Which tile configuration is chosen by what was measured.

NUMBA_ENABLE_CUDASIM=1 pytest tests/kernels/cuda
"""

import os

import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("numba must start with NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from kernels.cuda import tuning
from kernels.cuda.product.wgmma_configs import IN_TURNS, LARGE, SMALL
from kernels.cuda.tuning import Measured, best, choose
from kernels.energy import Meter


@pytest.mark.parametrize(
    ("watts", "limit", "expected"),
    [
        (690.0, 700.0, LARGE),  # at its limit the card takes the time that the joules take
        (500.0, 700.0, IN_TURNS),
        (690.0, None, IN_TURNS),
    ],
)
def test_joules_count_where_the_card_is_at_its_limit(watts, limit, expected):
    measured = {
        LARGE: Measured(170e-6, 0.066, watts),
        IN_TURNS: Measured(168e-6, 0.072, watts + 5),
    }
    assert choose(measured, limit) is expected


def test_without_a_sensor_for_every_one_time_counts():
    measured = {LARGE: Measured(170e-6, 0.066, 690.0), IN_TURNS: Measured(168e-6)}
    assert choose(measured, 700.0) is IN_TURNS


class Runs:
    """A trial that takes as long as it is told, and counts."""

    def __init__(self, seconds):
        self.seconds, self.tasks = seconds, 0

    def once(self):
        self.tasks += 1
        return self.seconds

    def many(self, count):
        self.tasks += count


def test_a_card_without_sensors_is_tuned_by_time(monkeypatch):
    monkeypatch.setattr(tuning, "STEADY_SECONDS", 0.001)
    trials = {LARGE: Runs(3e-4), IN_TURNS: Runs(2e-4), SMALL: Runs(4e-4)}
    assert best(tuple(trials), trials.__getitem__, Meter("0" * 32)) is IN_TURNS
    assert all(trial.tasks > tuning.ROUNDS for trial in trials.values())
    assert best((SMALL,), {}.__getitem__, Meter("0" * 32)) is SMALL
