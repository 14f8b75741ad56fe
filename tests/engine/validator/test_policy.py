"""The policy's arithmetic: that it says what happens, and that no cheat gains by any strategy."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.runtime.errors import BadInput
from engine.validator.policy.audit_policy import Policy
from engine.validator.policy.deterrence import Game, best_cheat, table

shares = st.floats(0, 1, allow_nan=False)


def test_the_probability_of_a_hit_is_that_of_a_draw():
    """Against counting: the share of draws that hit one of the wrong leaves."""
    policy, chance = Policy(openings=8), random.Random(5)
    for leaves, wrong in ((16, 1), (64, 6), (300, 30)):
        hits = sum(
            any(leaf < wrong for leaf in chance.sample(range(leaves), policy.openings))
            for _ in range(4000)
        )
        expected = policy.catch_by_openings(leaves, wrong)
        assert abs(hits / 4000 - expected) < 5 * (expected * (1 - expected) / 4000) ** 0.5


def test_nothing_wrong_is_never_caught_and_everything_wrong_always():
    policy = Policy()
    for leaves in (1, 5, 32, 33, 4096):
        assert policy.catch(leaves=leaves, wrong=0, q=0.0) == 0
        assert policy.catch(leaves=leaves, wrong=leaves, q=0.0) == 1


@given(
    leaves=st.integers(1, 400),
    share=shares,
    cost=st.integers(0, 10**20),
    withheld=st.integers(0, 10**24),
    openings=st.integers(1, 64),
)
def test_one_cheat_with_openings_never_gains(leaves, share, cost, withheld, openings):
    """f * c - D(f) * (W + r) <= 0, for every f, c <= r and W."""
    policy, reward = Policy(openings=openings, least_full=0.0), 10**20
    wrong = round(share * leaves)
    caught = policy.catch(leaves=leaves, wrong=wrong, q=0.0)
    assert (wrong / leaves) * cost - caught * (withheld + reward) <= reward * 1e-12


@given(
    reward=st.integers(1, 10**24),
    withheld=st.integers(0, 10**27),
    cost=shares,
    margin=st.floats(1, 10),
    colluding=shares,
    data=st.data(),
)
def test_one_cheat_without_openings_never_gains(reward, withheld, cost, margin, colluding, data):
    second = data.draw(st.floats(0, (1 - 1 / margin) * (1 - 1e-9)))
    policy = Policy(margin=margin, second_worker=second, least_full=0.0)
    q = policy.full_probability(reward, withheld, openable=False)
    caught = policy.catch_unopened(q, colluding=colluding)
    assert cost - caught * (withheld / reward + 1) <= 1e-9


@settings(deadline=None, max_examples=25)
@given(
    leaves=st.sampled_from([0, 1, 4, 16, 64]),
    hold=st.sampled_from([1, 3, 20]),
    cost=st.floats(0.05, 0.98),
    colluding=shares,
    openings=st.sampled_from([1, 4, 32]),
    margin=st.floats(1.01, 4),
)
def test_the_best_of_all_lazy_strategies_loses(leaves, hold, cost, colluding, openings, margin):
    """Bellman's best over 60 jobs, with pauses and new names for nothing: below honest work."""
    policy = Policy(openings=openings, margin=margin, second_worker=(1 - 1 / margin) / 2)
    game = Game(jobs=60, hold=hold, cost=cost, leaves=leaves, colluding=colluding)
    assert best_cheat(policy, game) < 0


def test_the_search_finds_what_a_bad_policy_lets_pass():
    """The search itself must be able to find a gain: with fewer checks than are needed, it does."""

    class Careless(Policy):
        def full_probability(self, reward, withheld, *, openable):
            return 0.05

    assert best_cheat(Careless(), Game(jobs=60, hold=3)) > 5


def test_a_newcomer_is_checked_in_full_and_trust_is_earned():
    policy = Policy()
    assert policy.full_probability(10, 0, openable=False) == 1
    assert policy.full_probability(10, 10, openable=False) == 1
    assert policy.full_probability(10, 190, openable=False) == pytest.approx(0.1)
    assert policy.full_probability(10, 10**9, openable=False) == policy.least_full
    assert policy.second_probability(1.0, openable=False) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"openings": 0},
        {"openings": 1025},
        {"least_full": 1.1},
        {"margin": 0.9},
        {"second_worker": 0.6},
        {"margin": 1.0, "second_worker": 0.01},
        {"hold_seconds": 0.0},
    ],
)
def test_a_policy_that_does_not_deter_is_refused(wrong):
    with pytest.raises(BadInput):
        Policy(**wrong)


def test_the_table_of_the_documentation():
    rows = {row["cheat"]: row for row in table(Policy())}
    assert all(row["best"] < 0 for row in rows.values())
    assert rows["one wrong leaf"]["caught"] == pytest.approx(1 - (1 - 32 / 256) * (1 - 1 / 32))
