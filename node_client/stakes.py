"""What a node says of validators and of an account's stakes, read strictly; each one question to it.

    validators = client.ask(get_validators)
    stakes = client.ask(partial(get_delegations, address=address))

The shapes are those of the node's public code of January 2026. There are no recorded answers, so none
of this was tested against a real node. What other people chose is not judged: a validator's name,
web address or commission that is no text or number (the node looks at their length and range alone)
is None or shortened text, and does not hide the others.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, StrictStr

from node_client.address import VALIDATOR_PREFIX, check_address
from node_client.queries import check_echo, get
from node_client.refusals import shorten
from node_client.responses import Counter
from node_client.transport import HttpNode

MOST_BYTES = 4 * 2**20
"""Bound, in bytes, of such an answer: 100 validators with 100 delegations each have 2 MB."""

LONGEST_TEXT = 256


def _text(value: Any) -> str | None:
    """What a stranger wrote, on one line and printable; None for nothing and for what is no text."""
    if not isinstance(value, str):
        return None
    return shorten(value, LONGEST_TEXT) or None


def _rate(value: Any) -> float | None:
    """A stranger's commission; None for what is no number: the node serves NaN as null."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= 1 else None


def _score(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e9 and math.isfinite(value) else None


Units = Annotated[StrictInt, Field(ge=0, lt=10**40)]
Text = Annotated[str | None, BeforeValidator(_text)]
Rate = Annotated[float | None, BeforeValidator(_rate)]
Score = Annotated[float | None, BeforeValidator(_score)]
Address = Annotated[StrictStr, Field(pattern=r"^[!-~]{1,100}$")]
"""An address in an answer: printable without spaces. A stranger's need not be one."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Delegation(_Answer):
    """An entry of GET /delegator/A/delegations. `amount` in units."""

    validator: Address
    amount: Units
    created_height: Counter
    validator_name: Text = None
    validator_commission: Rate = None


class Validator(_Answer):
    """GET /validator/A, and an entry of GET /validators. `power` in units; heights 0 where never."""

    address: Address
    power: Units
    is_active: StrictBool
    reward_address: Address | None = None
    name: Text = None
    website: Text = None
    description: Text = None
    commission_rate: Rate = None
    self_stake: Units = 0
    total_delegated: Units = 0
    blocks_proposed: Counter = 0
    blocks_expected: Counter = 0
    missed_blocks: Counter = 0
    uptime_score: Score = None
    performance_score: Score = None
    total_penalties: Units = 0
    jailed_until_height: Counter = 0
    jail_count: Counter = 0
    joined_height: Counter = 0

    @property
    def is_jailed(self) -> bool:
        """Whether UNSTAKE would burn a tenth: the node looks at nothing but this height."""
        return self.jailed_until_height > 0


class Validators(_Answer):
    """GET /validators."""

    epoch: Counter
    validators: Annotated[list[Validator], Field(max_length=10_000)]


class _OfDelegator(_Answer):
    delegator: StrictStr

    @classmethod
    def of(cls, address: str, value: Any) -> Self:
        """Return the answer in `value` for this account. Raises ValueError."""
        answer = cls.model_validate(value)
        check_echo(answer.delegator, address)
        return answer


class Delegations(_OfDelegator):
    """GET /delegator/A/delegations."""

    delegations: Annotated[list[Delegation], Field(max_length=10_000)]
    total_delegated: Units


class Reward(_Answer):
    """What an account earned in an epoch, in units."""

    epoch: Counter
    amount: Units


class Rewards(_OfDelegator):
    """GET /delegator/A/rewards."""

    total_rewards: Units
    rewards_by_epoch: Annotated[list[Reward], Field(max_length=100_000)]
    current_epoch: Counter


class Unbonding(_Answer):
    """A delegation that was taken back, and is paid out at `completion_height`."""

    validator: Address
    amount: Units
    completion_height: Counter
    blocks_remaining: Counter


class UnbondingQueue(_OfDelegator):
    """GET /delegator/A/unbonding."""

    total_unbonding: Units
    unbonding_delegations: Annotated[list[Unbonding], Field(max_length=100_000)]
    current_height: Counter


def get_validators(node: HttpNode) -> Validators:
    """Return all validators that the node knows, active or not. Raises NodeError."""
    return get(node, "/validators", Validators.model_validate, limit=MOST_BYTES, always=True)


def get_validator(node: HttpNode, address: str) -> Validator:
    """Return one validator, by its cpcvalcons1 address. Raises NotFound, NodeError."""
    check_address(address, VALIDATOR_PREFIX)

    def parse(value: Any) -> Validator:
        answer = Validator.model_validate(value)
        check_echo(answer.address, address)
        return answer

    return get(node, f"/validator/{address}", parse, limit=MOST_BYTES)


def get_delegations(node: HttpNode, address: str) -> Delegations:
    """Return what an account has delegated, by its cpc1 address. Raises NodeError."""
    return _of_delegator(node, address, "delegations", Delegations.of)


def get_rewards(node: HttpNode, address: str) -> Rewards:
    """Return what an account earned by delegating, epoch by epoch. Raises NodeError."""
    return _of_delegator(node, address, "rewards", Rewards.of)


def get_unbonding(node: HttpNode, address: str) -> UnbondingQueue:
    """Return what an account took back and waits for. Raises NodeError."""
    return _of_delegator(node, address, "unbonding", UnbondingQueue.of)


def _of_delegator[T](node: HttpNode, address: str, what: str, parse: Callable[[str, Any], T]) -> T:
    check_address(address)
    path = f"/delegator/{address}/{what}"
    return get(node, path, partial(parse, address), limit=MOST_BYTES, always=True)
