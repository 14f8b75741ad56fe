"""The account's next nonce: what the ledger has proven, and how far a node's word goes beyond it.

    nonces = Nonces(client, ledger, address, troubles)
    next_ = nonces.next_free(account.nonce, tip.height)      # None: nothing may be signed now
    nonces.prove()                                           # reads some older blocks, if it has to

A node's claim chooses a nonce only; the other readings of a text are judged from `ledger.proven()`,
whatever a node says. Blocks explain an honest claim within a block or two. One that stays unexplained
is asked of the other nodes; with one node it is used as long as it is within the nonces that a node
would queue, and refused beyond. Then the chain is read back from where our own reading began, for the
last transaction that this key signed before.
"""

from collections.abc import Mapping, Sequence
from gettext import gettext as _

from engine.monitor.troubles import Troubles
from engine.txmgr.inclusion import BLOCKS_A_TURN
from engine.txmgr.ledger import Ledger
from engine.txmgr.ledger_reader import Progress
from node_client.errors import BadResponse, NotFound
from node_client.nonce_proof import BEYOND_PROOF, NonceWalk, agreed_nonce
from node_client.rpc import NodeClient

UNEXPLAINED_BLOCKS = 2
"""So many blocks after a node named a nonce the blocks that spent those below it are read."""


class Nonces:
    """One account's; for the sender's thread."""

    def __init__(
        self, client: NodeClient, ledger: Ledger, address: str, troubles: Troubles
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._address = address
        self._troubles = troubles
        self._unexplained: tuple[int, int] | None = None  # claim and height
        self._walk: NonceWalk | None = None
        self._walk_ended = False
        self.proof_wanted = False
        """Whether more has to be proven before anything can be signed."""

    @property
    def is_reading(self) -> bool:
        """Whether `prove` has more blocks to read."""
        return self._walk is not None

    def next_free(self, claim: int, height: int) -> int | None:
        """Return the nonce from which on one may be used, at a tip of this height.

        `claim`: the confirmed nonce that a node names. None where it has to be waited for.
        """
        proven = self._ledger.proven()
        agreed = None
        if claim > proven and len(self._client.urls) > 1:
            agreed = agreed_nonce(self._client.each_nonce(self._address, pending=False))
            claim = claim if agreed is None else agreed
        if claim <= proven:
            self._unexplained = None
            self._proven_enough()
            return proven
        if self._unexplained is None or self._unexplained[1] > height:
            self._unexplained = claim, height
        first_claim, since = self._unexplained
        if height - since < UNEXPLAINED_BLOCKS:
            return None  # the next blocks explain it
        if agreed is not None:  # blocks up to this height have spent what was named first
            self._ledger.confirm_nonce("nodes", min(first_claim, agreed), height)
            return self._ledger.proven()
        if claim > proven + BEYOND_PROOF:
            self.refuse(
                _(
                    "the node says that nonces below {claim} are spent, and blocks show it only for"
                    " those below {proven}"
                ).format(claim=claim, proven=proven)
            )
            return None
        return claim

    def refuse(self, why: str) -> None:
        """Nothing can be signed before more is proven: say so, and look for a proof."""
        self.proof_wanted = True
        self._troubles.begin(
            "nonce_unproven",
            why,
            _(
                "Results wait while older blocks are read for this key's last transaction. If that"
                " does not help: name a second node with --node, or, where you know the account's"
                " next nonce, start again with --confirmed-nonce N."
            ),
        )

    def for_group(self, free: int, pending: int, deep: int) -> "GroupNonces":
        """Give the nonces for results that are signed together.

        `free`: from `next_free`; `pending`: the next one that the node names, its mempool counted
        in. One that was signed for before may still get into a block, and none with another, until
        a block at height `deep` or below has spent it.
        """
        return GroupNonces(
            free,
            max(free, self._believable(pending)),
            self._ledger.taken_nonces(free),
            self._ledger.unsettled_nonces(deep),
        )

    def prove(self) -> None:
        """Read some older blocks where a proof is wanted. Raises NodeError."""
        if not self.proof_wanted or self._walk_ended:
            return
        if self._walk is None:
            first = self._ledger.scanned_blocks(2**63 - 1)
            if not first:
                return
            self._walk = NonceWalk(self._address, *first[-1])
        for _turn in range(BLOCKS_A_TURN):
            if self._walk.proof is not None or self._walk.exhausted:
                break
            try:
                self._walk.step([self._client.block(self._walk.next_height)])
            except NotFound:
                self._walk.end_of_chain()
            except BadResponse:
                self._walk = None  # rolled back in between, or made up: from the start, next time
                raise
        self._end_walk()

    def _end_walk(self) -> None:
        walk = self._walk
        if walk is None or (walk.proof is None and not walk.exhausted):
            return
        self._walk, self._walk_ended = None, True
        if walk.proof is not None and walk.proof.first_unspent > self._ledger.proven():
            self._ledger.confirm_nonce("block", walk.proof.first_unspent, walk.proof.height)

    def _proven_enough(self) -> None:
        self.proof_wanted = self._walk_ended = False
        self._walk = None
        self._troubles.end("nonce_unproven")

    def _believable(self, pending: int) -> int:
        """What waits in the mempool is ours, as far as the ledger knows; or somebody shares the key."""
        if self._troubles.lasts("key_shared"):
            return min(pending, self._ledger.proven() + BEYOND_PROOF)
        return min(pending, self._ledger.last_signed_nonce + 1)


class GroupNonces:
    """The nonces of a group, while nothing else is signed."""

    def __init__(
        self, free: int, first: int, taken: set[int], unsettled: Mapping[str, Sequence[int]]
    ) -> None:
        """`first`: from which on new ones are given; `unsettled`: earlier ones by task id."""
        self._free = free
        self._next = first
        self._taken = taken
        self._unsettled = unsettled

    def of(self, result: Progress) -> int | None:
        """The nonce to sign this result with; None where it has to wait for one."""
        if unsettled := self._unsettled.get(result.task_id):
            nonce = unsettled[0]
            return nonce if nonce >= self._free and nonce not in self._taken else None
        while self._next in self._taken:
            self._next += 1
        return self._next

    def take(self, nonce: int) -> None:
        """It was signed for."""
        self._taken.add(nonce)
