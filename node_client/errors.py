"""Every error of this wing, as one tree.

    NodeClientError
    ├── InvalidData            a value that is not a valid address, key, hash, amount, ...
    │   ├── InvalidAddress
    │   ├── InvalidKey
    │   └── InvalidTransaction
    │       ├── AmbiguousTransaction
    │       │   └── BurnPossible
    │       └── UnprovenNonce
    ├── KeystoreError
    │   ├── KeyNotFound
    │   ├── KeyExists
    │   └── WrongPassphrase
    ├── NodeError              the node, or the way to it
    │   ├── NodeUnreachable
    │   ├── NodeNotReady       HTTP 503, or no block yet
    │   │   └── NodeBusy       HTTP 429, or 503 with a time: it is left alone for so long
    │   ├── NotFound           HTTP 404
    │   ├── WrongChain         the node serves another chain than the one that was pinned
    │   ├── TakesNoResults     the node is of the v3 network, which has no place for results
    │   └── BadResponse        garbage, half a body, too long, a redirect, a wrong hash
    └── Refused                the node rejected the transaction
        ├── InsufficientBalance
        ├── GasPriceTooLow
        ├── GasLimitTooLow
        ├── FeeTooLow
        ├── InvalidSignature
        │   └── MalformedSignature
        ├── MissingSignature
        ├── PublicKeyMismatch
        │   └── MalformedKey
        ├── AmountZero
        ├── TypeNotTaken
        ├── AlreadyInPool
        ├── NonceTooLow
        ├── NoRoom             not now; the same bytes may be taken later
        │   ├── SenderLimit
        │   ├── QueueFull
        │   └── MempoolFull
        ├── Malformed          HTTP 422 or 400
        └── UnknownRefusal

`advice` says what a person can do about the error; it may be empty.
"""

from gettext import gettext as _


class NodeClientError(Exception):
    """Root of the tree. `str()` is one sentence, and `advice` is what to do about it."""

    advice: str = ""

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        if advice is not None:
            self.advice = advice


class InvalidData(NodeClientError):
    """A value is not what it claims to be; nothing was sent."""

    advice = _("Correct what the message names.")


class InvalidAddress(InvalidData):
    """Not a bech32 address of the expected prefix."""

    advice = _("Copy the whole address again: its checksum finds any slip.")


class InvalidKey(InvalidData):
    """Not a secp256k1 key."""

    advice = _("Copy the whole key again, or make a new one: cpc-engine keys add NAME.")


class InvalidTransaction(InvalidData):
    """A transaction that the node would drop or refuse."""


class AmbiguousTransaction(InvalidTransaction):
    """The signed text fits another transaction that the node would accept.

    `waiting_helps`: only because nonces below the draft's own are not spent yet, so that the same
    draft passes once the transactions before it are in blocks.
    """

    def __init__(
        self, message: str, *, advice: str | None = None, waiting_helps: bool = False
    ) -> None:
        super().__init__(message, advice=advice)
        self.waiting_helps = waiting_helps


class BurnPossible(AmbiguousTransaction):
    """In the transaction's place another reading could burn `units`, which nobody has accepted."""

    def __init__(self, message: str, *, advice: str | None = None, units: int) -> None:
        super().__init__(message, advice=advice)
        self.units = units


class UnprovenNonce(InvalidTransaction):
    """A node claims that the account's next nonce is one that nothing proves: nothing is signed."""

    advice = _(
        "Name a second node with --node; or, where you know the account's next nonce, say it with"
        " --nonce N."
    )


class KeystoreError(NodeClientError):
    """A key file cannot be read or written."""

    advice = _("Correct what the message names.")


class KeyNotFound(KeystoreError):
    """There is no key of that name."""

    advice = _("cpc-engine keys list shows the names.")


class KeyExists(KeystoreError):
    """A key of that name is there already, and is never overwritten."""

    advice = _("Choose another name.")


class WrongPassphrase(KeystoreError):
    """The passphrase does not open the key file."""

    advice = _("Try again; a passphrase cannot be recovered.")


class NodeError(NodeClientError):
    """The node, or the way to it, failed."""

    advice = _("Try again, or use another node.")


class NodeUnreachable(NodeError):
    """No connection, or no answer in time. `nothing_sent`: the request never left this machine."""

    advice = _("Check the node's address, that it runs, and the network in between.")

    def __init__(
        self, message: str, *, advice: str | None = None, nothing_sent: bool = False
    ) -> None:
        super().__init__(message, advice=advice)
        self.nothing_sent = nothing_sent


class NodeNotReady(NodeError):
    """The node answered 503, or has no block yet: it starts, syncs, or is overloaded."""

    advice = _("Wait until the node is ready, or use another one.")


class NodeBusy(NodeNotReady):
    """The node asked to be left alone for `seconds`; nothing is sent to it before."""

    advice = _("Wait so long, or name another node with --node.")

    def __init__(self, message: str, *, advice: str | None = None, seconds: float = 0.0) -> None:
        super().__init__(message, advice=advice)
        self.seconds = seconds


class NotFound(NodeError):
    """The node has no such block or transaction (404)."""

    advice = _("Check the height or hash; where the node is behind, wait, or use another one.")


class WrongChain(NodeError):
    """The node's first block is not that of the chain that the client was pinned to."""

    advice = _(
        "Point --node at nodes of one chain; a devnet that was started again begins a new one."
    )


class TakesNoResults(NodeError):
    """The node is a CometBFT node: another network (v3), with another RPC, and without results."""

    advice = _(
        "To mine, point --node at a node of the January 2026 network. On this one, `query status`,"
        " `query balance`, `query block` and `tx send` work."
    )


class BadResponse(NodeError):
    """The node's response is not a valid answer to the request."""

    advice = _("Check that the URL is a ComputeChain node's; if it is, use another one.")


class Refused(NodeClientError):
    """The node received the transaction and rejected it.

    `reason` holds its own words; `given` and `least` the numbers that stand in them, if any: what
    the transaction has, and the least that the node takes.
    """

    advice = _("Correct what the node names, and send the transaction again.")

    def __init__(
        self,
        reason: str,
        *,
        advice: str | None = None,
        given: int | None = None,
        least: int | None = None,
    ) -> None:
        super().__init__(
            _("the node refused the transaction: {reason}").format(reason=reason), advice=advice
        )
        self.reason = reason
        self.given = given
        self.least = least


class InsufficientBalance(Refused):
    """The balance does not cover amount + fee."""

    advice = _("Send coins to this account, or lower the amount.")


class GasPriceTooLow(Refused):
    """`gas_price` is under the network's least price."""

    advice = _("Raise --gas-price to the least price that the node names.")


class GasLimitTooLow(Refused):
    """`gas_limit` is under the base gas of this kind of transaction."""

    advice = _("Raise --gas-limit to the base gas that the node names.")


class FeeTooLow(Refused):
    """`fee` is under base gas * gas price."""

    advice = _("Raise the fee to what the node names; it takes base gas * gas price only.")


class InvalidSignature(Refused):
    """The signature does not fit the transaction and its public key."""

    advice = _("Sign again: a field was changed after signing, or the key is another one.")


class MalformedSignature(InvalidSignature):
    """The signature is not hex."""

    advice = _("Sign again: a signature is 128 hex digits.")


class MissingSignature(Refused):
    """Signature or public key are not there."""

    advice = _("Sign the transaction before it is sent.")


class PublicKeyMismatch(Refused):
    """The public key belongs to another address than `from_address`."""

    advice = _("Send from the address that belongs to the key.")


class MalformedKey(PublicKeyMismatch):
    """The public key, or the address that it should have, cannot be read."""

    advice = _("A public key is 66 hex digits: sign again with the key of the sending account.")


class AmountZero(Refused):
    """A transfer of nothing."""

    advice = _("Send an amount above zero.")


class TypeNotTaken(Refused):
    """The node takes no transactions of this type."""

    advice = _("Use a node of a network that takes this type of transaction.")


class AlreadyInPool(Refused):
    """The same transaction is in the mempool already, which counts as success."""

    advice = _("Nothing to do: it waits for a block.")


class NonceTooLow(Refused):
    """Spent, or taken by a transaction that waits, or this one is in a block already."""

    advice = _("Look for it in the blocks; where it is in none, sign it again with the next nonce.")


class NoRoom(Refused):
    """The node has no room for the transaction now; the same bytes may be taken later."""

    advice = _("Wait, then send it again; mining sends its results again by itself.")


class SenderLimit(NoRoom):
    """As many transactions of this account wait in the mempool as the node lets one account have."""

    advice = _(
        "Wait until blocks have taken some of this account's transactions, then send it again;"
        " mining sends its results again by itself."
    )


class QueueFull(NoRoom):
    """As many transactions of this account wait for a lower nonce as the node lets one account have."""

    advice = _(
        "Wait until the missing lower nonces are in blocks, or an hour until the queue has expired,"
        " then send it again; mining sends its results again by itself."
    )


class MempoolFull(NoRoom):
    """The node's mempool is full."""

    advice = _(
        "Wait until blocks have made room, or use another node, then send it again; mining sends its"
        " results again by itself."
    )


class Malformed(Refused):
    """The node rejected the body's format (422), or failed on it (400)."""

    advice = _("Update cpc-engine: its idea of a transaction differs from the node's.")


class UnknownRefusal(Refused):
    """A reason that this program does not know."""

    advice = _("Ask the node's operator what it means; cpc-engine may need an update.")
