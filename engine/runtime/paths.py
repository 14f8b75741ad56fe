"""Where this program keeps its state: ledgers, databases, sockets."""

import os
from gettext import gettext as _
from os import PathLike
from pathlib import Path

from engine.runtime.errors import BadInput


def expanded(path: str | PathLike[str]) -> Path:
    """Return the path with the home directory for a leading `~`. Raises BadInput without one."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise BadInput(
            _("{path}: the home directory is not known").format(path=os.fspath(path)),
            advice=_("Write the whole path, set HOME, or set CPC_KEYS, CPC_STATE and CPC_CACHE."),
        ) from None


def state_directory() -> Path:
    """Return `CPC_STATE`, or `~/.computechain/engine`, beside the keys. Raises BadInput."""
    return expanded(os.environ.get("CPC_STATE") or "~/.computechain/engine")


def ledger_path(chain_id: str, genesis: str, address: str) -> Path:
    """Return the ledger of an account on a chain; a new devnet has a new genesis, so a new ledger."""
    return state_directory() / f"{ledger_name(chain_id, genesis, address)}.sqlite"


def ledger_name(chain_id: str, genesis: str, address: str) -> str:
    """Return what names an account on a chain in a file's name."""
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in chain_id)
    return f"{name}-{genesis[:12]}-{address}"
