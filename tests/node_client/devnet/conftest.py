"""What the devnet's tests share: the recorded keys, a chain whose clock is turned by hand."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from node_client.devnet import Chain, DevnetServer
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC
from node_client.transaction import BASE_GAS, Transaction, TxType

GENESIS = 1_700_000_000.0


class Clock:
    """Seconds of Unix time that pass only when told to."""

    def __init__(self, now: float = GENESIS) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def keys(vectors: Any) -> list[PrivateKey]:
    return [PrivateKey.from_hex(entry["private_key"]) for entry in vectors("keys")]


@pytest.fixture
def chain(keys: list[PrivateKey], clock: Clock) -> Chain:
    """Each of the first three keys has one CPC."""
    return Chain({key.address: UNITS_PER_CPC for key in keys[:3]}, clock=clock)


@pytest.fixture(scope="session")
def make() -> Callable[..., Transaction]:
    """`make(key, nonce)` is a signed SUBMIT_RESULT; keywords override fields."""

    def make(key: PrivateKey, nonce: int, tx_type: str = "SUBMIT_RESULT", **fields: Any) -> Any:
        kind = TxType(tx_type)
        payload = {}
        if kind is TxType.SUBMIT_RESULT:
            payload = {
                "task_id": "550e8400-e29b-41d4-a716-446655440000",
                "worker_address": key.address,
                "result_hash": "ab" * 32,
                "proof": "",
                "nonce": nonce,
                "signature": "",
            }
        draft = {
            "tx_type": kind,
            "from_address": key.address,
            "amount": 0,
            "fee": BASE_GAS[kind] * 1000,
            "nonce": nonce,
            "payload": payload,
            "gas_price": 1000,
            "gas_limit": BASE_GAS[kind],
        }
        return Transaction.model_validate({**draft, **fields}).signed_by(key)

    return make


@pytest.fixture
def devnet(keys: list[PrivateKey], clock: Clock) -> Iterator[DevnetServer]:
    """A server that makes blocks only by hand: its clock stands still."""
    with DevnetServer(faucet=keys[0], clock=clock, fault_routes=True) as server:
        yield server
