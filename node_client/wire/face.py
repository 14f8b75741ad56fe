"""What a network's wire format must offer. Each question is one HTTP exchange with one node."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from node_client.responses import Account
from node_client.transport import HttpNode


@dataclass(frozen=True, slots=True)
class Position:
    """Where a node stands. `told`: all that it says of itself, to be shown."""

    height: int
    last_hash: str
    told: Mapping[str, Any]


class Signed(Protocol):
    """A signed transaction. It knows the text that is hashed: no other part of the program does."""

    @property
    def nonce(self) -> int:
        """The account's counter that it uses up."""

    @property
    def fee(self) -> int:
        """Units beside the amount."""

    def digest(self) -> bytes:
        """Return the 32 bytes that the signature covers."""

    def hash(self) -> str:
        """Return the hash by which blocks and nodes name it, 64 hex digits."""

    def signature_fits(self) -> bool:
        """Return whether the network would take the signature."""


class Wire[T: Signed](Protocol):
    """A network's wire format. `T` is its transaction."""

    name: str
    takes_results: bool
    base_gas: Mapping[str, int]
    """The kinds of transaction that the client can make for this network, with their gas."""

    def standing(self) -> str:
        """Return one sentence on what the network is good for."""

    def status(self, node: HttpNode) -> Position:
        """Return where the node stands. Raises NodeError, as all of these do."""

    def account(self, node: HttpNode, address: str) -> Account:
        """Return balance, in units, and next nonce as the newest block left them."""

    def block(self, node: HttpNode, height: int) -> dict[str, Any]:
        """Return the block as JSON, its `hash` with it. Raises NotFound."""

    def send(self, node: HttpNode, tx: T) -> str:
        """Hand a signed transaction in, once, and return its hash. Raises Refused, too."""
