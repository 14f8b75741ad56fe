"""Draws from a page of the system's randomness: as even as its own, and never the same twice."""

import random
from collections import Counter

import pytest

from engine.validator.policy.chance import SystemChance

MANY = 20_000


def test_numbers_are_even_over_their_range():
    chance = SystemChance()
    seen = Counter(chance.randrange(10) for _ in range(MANY))
    expected = MANY / 10  # six sigma are 255: once in 10^8 runs
    assert all(abs(seen[number] - expected) < 6 * (0.09 * MANY) ** 0.5 for number in range(10))
    halves = sum(chance.random() < 0.5 for _ in range(MANY))
    assert abs(halves - MANY / 2) < 6 * (MANY / 4) ** 0.5


@pytest.mark.parametrize(("many", "few"), [(5, 2), (5, 5), (1, 1), (64, 32), (300, 7)])
def test_every_list_is_as_likely(many, few):
    chance, population = SystemChance(), range(100, 100 + many)
    lists = [chance.sample(population, few) for _ in range(4000)]
    assert all(len(set(one)) == few and set(one) <= set(population) for one in lists)
    for place in {0, few - 1}:  # at each place, each of them as often: six sigma
        seen = Counter(one[place] for one in lists)
        expected = len(lists) / many
        sigma = (expected * (1 - 1 / many)) ** 0.5
        assert all(abs(seen[one] - expected) <= 6 * sigma + 1 for one in population)


def test_no_bytes_are_given_twice_and_any_number_of_bits_is():
    chance = SystemChance()
    drawn = [chance.getrandbits(128) for _ in range(2000)]
    assert len(set(drawn)) == len(drawn)
    for bits in (0, 1, 7, 8, 9, 64, 100_000):
        assert chance.getrandbits(bits).bit_length() <= bits
    with pytest.raises(ValueError, match="negative"):
        chance.getrandbits(-1)


def test_it_cannot_be_repeated():
    assert isinstance(SystemChance(), random.SystemRandom)
    with pytest.raises(NotImplementedError):
        SystemChance().getstate()
    assert SystemChance().sample(range(10**9), 8) != SystemChance().sample(range(10**9), 8)
