"""Which tile the Hopper product takes for a shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.cuda.product.wgmma_configs import IN_TURNS, LARGE, SMALL, configs_for, for_int32

H200 = 132
sides = st.integers(1, 80).map(lambda count: 256 * count)


@pytest.mark.parametrize(
    ("size", "fastest"), [(1024, {SMALL}), (2048, {IN_TURNS}), (3072, {IN_TURNS}), (8192, {LARGE})]
)
def test_the_measured_winner_with_int32_out_is_chosen(size, fastest):
    chosen = for_int32(size, size, size, H200)
    assert chosen in fastest or (LARGE in fastest and chosen.columns == 256)


@given(sides, sides, sides)
def test_its_tiles_cover_any_padded_shape(M, N, K):
    config = for_int32(M, N, K, H200)
    assert M % (config.rows * config.cluster) == 0
    assert N % config.columns == 0


@given(sides)
def test_names_tell_the_configurations_of_a_size_apart(size):
    names = [config.name for config in configs_for(size)]
    assert len(names) == len(set(names))
    assert len(names) > 1
