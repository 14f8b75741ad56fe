"""The devnet's validators and their delegations, in the shapes that the node's routes have.

GET /validators: {"epoch": 0, "validators": [VALIDATOR, ...]}, and GET /validator/A: VALIDATOR, where
VALIDATOR is Validator.to_json(), amounts as JSON integers (not strings, other than /balance):

    {"address": "cpcvalcons1...", "pq_pub_key": "02...", "power": 10000000000000000000000,
     "is_active": true, "reward_address": "cpc1..." or null, "name": null, "website": null,
     "description": null, "blocks_proposed": 0, "blocks_expected": 0, "missed_blocks": 0,
     "last_block_height": 0, "uptime_score": 1.0, "performance_score": 1.0, "total_penalties": 0,
     "jailed_until_height": 0, "jail_count": 0, "joined_height": 0, "last_seen_height": 0,
     "unstaking_queue": [], "commission_rate": 0.1, "self_stake": 0, "total_delegated": 0,
     "delegations": [{"delegator": "cpc1...", "validator": "cpcvalcons1...", "amount": 1,
                      "created_height": 7}]}

All of that is read off the node's published source (github.com/computechain/computechain,
protocol/types/validator.py and blockchain/rpc/api.py, January 2026), and was not recorded.
"""

import hashlib
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Self

import bech32

from node_client.address import VALIDATOR_PREFIX, hash160
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC

GENESIS_STAKE = 10_000 * UNITS_PER_CPC
IDLE_VALIDATORS = 5
"""Validators at genesis besides the proposer: with fewer, none could take a delegation, since the
node lets none have more than a fifth of all voting power."""


@dataclass(frozen=True, slots=True)
class Delegation:
    """What one account has delegated to one validator. `amount` in units."""

    delegator: str
    validator: str
    amount: int
    created_height: int


@dataclass(frozen=True, slots=True)
class Unbonding:
    """An amount on its way back to the account that undelegated it."""

    amount: int
    completion_height: int
    validator: str


@dataclass(frozen=True, slots=True)
class Validator:
    """One validator. `power`: own and delegated stake in units; `reward_address`: its owner."""

    address: str
    pq_pub_key: str
    power: int
    is_active: bool = False
    reward_address: str | None = None
    name: str | None = None
    website: str | None = None
    description: str | None = None
    blocks_proposed: int = 0
    blocks_expected: int = 0
    missed_blocks: int = 0
    last_block_height: int = 0
    uptime_score: float = 1.0
    performance_score: float = 1.0
    total_penalties: int = 0
    jailed_until_height: int = 0
    jail_count: int = 0
    joined_height: int = 0
    last_seen_height: int = 0
    unstaking_queue: tuple[()] = ()
    commission_rate: float = 0.10
    self_stake: int = 0
    total_delegated: int = 0
    delegations: tuple[Delegation, ...] = ()

    @classmethod
    def at_genesis(cls, key: PrivateKey, *, is_active: bool) -> Self:
        """Return a validator whose owner is the account of the same key."""
        return cls(
            key.validator_address,
            key.public_key,
            GENESIS_STAKE,
            is_active,
            reward_address=key.address,
        )

    def delegation_of(self, delegator: str) -> Delegation | None:
        """Return what this account has delegated; None where it has nothing."""
        return next((one for one in self.delegations if one.delegator == delegator), None)

    def with_delegation(self, delegator: str, change: int, height: int) -> Self:
        """Return a copy with that much more delegated, or less where `change` is below zero."""
        before = self.delegation_of(delegator) or Delegation(delegator, self.address, 0, height)
        after = replace(before, amount=before.amount + change)
        others = [one for one in self.delegations if one.delegator != delegator]
        return replace(
            self,
            power=self.power + change,
            total_delegated=self.total_delegated + change,
            delegations=(*others, after) if after.amount else tuple(others),
        )

    def having_proposed(self, blocks: int) -> Self:
        """Return a copy that proposed all of the chain's `blocks` above genesis."""
        return replace(
            self,
            blocks_proposed=blocks,
            blocks_expected=blocks,
            last_block_height=blocks,
            last_seen_height=blocks,
        )

    def jailed(self, until: int) -> Self:
        """Return a copy that is jailed until this height."""
        count = self.jail_count + 1
        return replace(self, jailed_until_height=until, jail_count=count, is_active=False)

    def to_json(self) -> dict[str, Any]:
        """Return the body of GET /validator/A."""
        return asdict(self)


def idle_validator_key(number: int) -> PrivateKey:
    """Return the key of one of the idle validators; anybody can know it, as on any devnet."""
    return PrivateKey(hashlib.sha256(f"cpc-engine devnet validator {number}".encode()).digest())


@lru_cache
def address_of(public_key: str, prefix: str = VALIDATOR_PREFIX) -> str:
    """Return the address that the node gives to a public key. Raises ValueError where it is not hex.

    As in the published source any bytes will do for a key, and any text for a prefix.
    """
    words = bech32.convertbits(hash160(bytes.fromhex(public_key)), 8, 5)
    assert words is not None
    return str(bech32.bech32_encode(prefix, words))
