"""A v3 TRANSFER: canonical JSON with the chain's id in it, signed once, readable in one way.

    signed = Transfer(chain_id="cpc-comet-staking-devnet-1", from_address=key.address, to_address=to,
                      amount=10**18, nonce=3, gas_price=1000).signed_by(key)
    signed.raw(), signed.hash()

What is hashed is JSON with named fields, not joined numbers: no second transaction reads from the
same text, so nothing like `node_client.ambiguity` is needed here. The chain's id stands in the text:
a transfer cannot be replayed on another network. A nonce fits once: exactly the account's.
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from gettext import gettext as _
from typing import Any, Self

from ecdsa import SECP256k1

from node_client.address import check_address
from node_client.errors import InvalidTransaction
from node_client.keys import PrivateKey, verify_digest
from node_client.v3.answers import MAX_AMOUNT

VERSION = 3
DOMAIN = b"ComputeChain/tx/v3\x00"
MAX_TX_BYTES = 4096
TRANSFER_GAS = 21_000
LEAST_GAS_PRICE = 1_000
MAX_GAS_PRICE = 2**64 - 1

_CHAIN_ID = re.compile(r"[!-~]{1,50}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer. `amount` in units of 10^-18 CPC, `gas_price` in units a gas."""

    chain_id: str
    from_address: str
    to_address: str
    amount: int
    nonce: int
    gas_price: int = LEAST_GAS_PRICE
    pub_key: str = ""
    signature: str = ""

    @property
    def fee(self) -> int:
        """What the network takes, and burns: gas * price."""
        return TRANSFER_GAS * self.gas_price

    @property
    def cost(self) -> int:
        """What the account must have: amount and fee."""
        return self.amount + self.fee

    def fields(self) -> dict[str, Any]:
        """Return exactly the fields that the network takes; amount and price are decimal text."""
        return {
            "version": VERSION,
            "chain_id": self.chain_id,
            "type": "TRANSFER",
            "from": self.from_address,
            "to": self.to_address,
            "amount": str(self.amount),
            "nonce": self.nonce,
            "gas_price": str(self.gas_price),
            "gas_limit": TRANSFER_GAS,
            "pub_key": self.pub_key,
            "signature": self.signature,
            "payload": {},
        }

    def digest(self) -> bytes:
        """Return what is signed: SHA-256 of the domain, a zero byte, and the JSON without signature."""
        unsigned = {name: value for name, value in self.fields().items() if name != "signature"}
        return hashlib.sha256(DOMAIN + canonical(unsigned)).digest()

    def signed_by(self, key: PrivateKey) -> Self:
        """Check the transfer, and return a copy with key and signature. Raises InvalidTransaction."""
        if key.address != self.from_address:
            raise InvalidTransaction(
                _("{from_address} is not the address of {key!r}").format(
                    from_address=self.from_address, key=key
                )
            )
        with_key = replace(self, pub_key=key.public_key)
        signed = replace(with_key, signature=key.sign_digest(with_key.digest()))
        signed.check()
        return signed

    def check(self) -> None:
        """Raise InvalidTransaction or InvalidAddress for what the network would refuse."""
        check_address(self.from_address)
        check_address(self.to_address)
        if _CHAIN_ID.fullmatch(self.chain_id) is None:
            raise InvalidTransaction(_("a chain id is 1 to 50 printable characters"))
        if not 0 <= self.nonce < 2**63:
            raise InvalidTransaction(_("nonce {nonce} is out of range").format(nonce=self.nonce))
        if not LEAST_GAS_PRICE <= self.gas_price <= MAX_GAS_PRICE:
            raise InvalidTransaction(
                _("gas price {price} is out of range: {least} at least").format(
                    price=self.gas_price, least=LEAST_GAS_PRICE
                ),
                advice=_("Use a gas price of {min_gas_price} or more.").format(
                    min_gas_price=LEAST_GAS_PRICE
                ),
            )
        if self.amount <= 0 or self.cost > MAX_AMOUNT:
            raise InvalidTransaction(_("a transfer's amount is above zero and below 2^256"))
        if not self.signature_fits():
            raise InvalidTransaction(_("the signature does not fit, or its s is not the low one"))
        if len(self.raw()) > MAX_TX_BYTES:
            raise InvalidTransaction(
                _("the transaction has more than {limit} bytes").format(limit=MAX_TX_BYTES)
            )

    def signature_fits(self) -> bool:
        """Return whether the signature is the key's, with the low s that the network demands."""
        return int(self.signature[64:] or "0", 16) <= SECP256k1.order // 2 and verify_digest(
            self.pub_key, self.digest(), self.signature
        )

    def raw(self) -> bytes:
        """Return the bytes that are sent: the canonical JSON with the signature."""
        return canonical(self.fields())

    def hash(self) -> str:
        """Return the transaction's hash: SHA-256 of its bytes, 64 lower-case hex digits."""
        return hashlib.sha256(self.raw()).hexdigest()


def canonical(value: object) -> bytes:
    """Return canonical JSON: sorted keys, no spaces, ASCII, no NaN."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return text.encode("ascii")
