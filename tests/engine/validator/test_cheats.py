"""The small form of `cheats.py`: every cheat, a few times, caught as often as the arithmetic says."""

import pytest

from tests.engine.validator.cheats import CHEATS, GroundProof, try_cheat


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_caught_as_often_as_the_policy_says(name):
    GroundProof.tries = 0
    tally = try_cheat(name, 15 if name.startswith("ground-out") else 25)
    assert tally.as_expected, str(tally)
    if tally.expected == 1:
        assert tally.caught == tally.trials
    else:  # some pass: else the figures above would say nothing
        assert 0 < tally.caught < tally.trials
    if name.startswith("ground-out"):
        assert GroundProof.tries > 0  # it did have to grind
