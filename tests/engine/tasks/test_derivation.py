"""Seeds and task ids against the specification's vectors."""

import pytest

from engine.runtime.errors import BadInput
from engine.tasks.derivation import BlockTask, check_hash, check_result_hash, check_task_id
from node_client.errors import InvalidAddress

HASH = "fb47ed7641c7535550259544c6858f8b298b4ca9856d2fc8151d66027fa9fc7c"
ADDRESS = "cpc1ce0nn835fsmg45evmeefnpfufkv8shh6z9adsj"


def test_every_vector(vectors):
    for vector in vectors("matrix_mult_v1"):
        task = BlockTask.derive(
            vector["block_hash"],
            vector["worker_address"],
            index=vector["index"],
            size=vector["matrix_size"],
            iterations=vector["iterations"],
        )
        assert task.task.seed.hex() == vector["seed"]
        assert task.task_id == vector["task_id"]


def test_each_index_has_its_own_seed_and_id():
    tasks = [BlockTask.derive(HASH, ADDRESS, index=index) for index in range(16)]
    assert len({task.task_id for task in tasks}) == len({task.task.seed for task in tasks}) == 16


@pytest.mark.parametrize("wrong", [HASH.upper(), "0x" + HASH, HASH[:-1], HASH + "\n", "", "é" * 64])
def test_a_malformed_hash_is_refused(wrong):
    with pytest.raises(BadInput):
        check_hash(wrong, "block hash")


@pytest.mark.parametrize(
    "wrong",
    ["", "550E8400-e29b-41d4-a716-446655440000", "550e8400e29b41d4a716446655440000", "nonsense"],
)
def test_a_malformed_task_id_is_refused(wrong):
    with pytest.raises(BadInput):
        check_task_id(wrong)


def test_a_wrong_address_or_index_is_refused():
    with pytest.raises(InvalidAddress):
        BlockTask.derive(HASH, ADDRESS[:-1] + "q")
    with pytest.raises(BadInput):
        BlockTask.derive(HASH, ADDRESS, index=16)


@pytest.mark.parametrize(
    "text", ["0x1234567890abcdef...", "1234567890abcdef\N{HORIZONTAL ELLIPSIS}"]
)
def test_the_guides_placeholder_is_named_as_what_it_is(text):
    with pytest.raises(BadInput, match="guide's placeholder") as refused:
        check_result_hash(text)
    assert "cpc-engine compute" in refused.value.advice
    assert check_result_hash("0x" + "ab" * 32) == "ab" * 32
