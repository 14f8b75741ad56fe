"""The small form of `cheats.py`: every cheat, a few times, caught as often as the arithmetic says."""

from itertools import chain

import pytest

from tests.engine.validator.cheats import CHEATS, GroundProof, try_cheat


@pytest.mark.parametrize("name", CHEATS)
def test_a_cheat_is_caught_as_often_as_the_policy_says(name):
    GroundProof.tries = 0
    trials = 15 if name.startswith("ground-out") else 25
    tally = try_cheat(name, trials)
    assert tally.as_expected, str(tally)
    if tally.expected == 1:
        assert tally.caught == tally.trials
    else:  # some pass, else the figures would say nothing: but not in every 15 trials of one in six
        tallies = chain([tally], (try_cheat(name, trials, seed) for seed in range(1, 8)))
        assert any(0 < tally.caught < tally.trials for tally in tallies)
    if name.startswith("ground-out"):
        assert GroundProof.tries > 0  # it did have to grind
