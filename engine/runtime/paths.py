"""Where this program keeps its state: ledgers, databases, sockets."""

import os
from pathlib import Path


def state_directory() -> Path:
    """Return `CPC_STATE`, or `~/.computechain/engine`, beside the keys."""
    given = os.environ.get("CPC_STATE")
    return Path(given) if given else Path.home() / ".computechain" / "engine"


def ledger_path(chain_id: str, genesis: str, address: str) -> Path:
    """Return the ledger of an account on a chain; a new devnet has a new genesis, so a new ledger."""
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in chain_id)
    return state_directory() / f"{name}-{genesis[:12]}-{address}.sqlite"
