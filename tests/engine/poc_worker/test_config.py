"""What options about validators may not go together, and where they go."""

import pytest

from engine.node.request import NodeRequest
from engine.poc_worker.config import check_validators
from engine.poc_worker.options import ValidatorsOptions
from engine.pool.options import PoolOptions
from engine.runtime.errors import BadInput
from engine.txmgr.options import SendingOptions

NAMED = {"validator": ("wss://validator.example/worker",)}


@pytest.mark.parametrize("weaker", [{"check_share": 0.5}, {"cross_check": True}])
def test_what_is_signed_for_a_chain_is_always_checked_on_the_cpu(weaker):
    assert check_validators(ValidatorsOptions(**NAMED, **weaker)) is not None
    with pytest.raises(BadInput, match="--submit"):
        check_validators(ValidatorsOptions(**NAMED, submit=True, **weaker))


def test_how_a_floods_answers_are_checked_reaches_the_pool():
    validators = ValidatorsOptions(**NAMED, check_share=0.5, cross_check=True)
    limits = NodeRequest.of(PoolOptions(), SendingOptions(), validators=validators).limits
    assert (limits.check_share, limits.cross_check) == (0.5, True)
    limits = NodeRequest.of(PoolOptions(), SendingOptions()).limits
    assert (limits.check_share, limits.cross_check) == (1.0, False)
