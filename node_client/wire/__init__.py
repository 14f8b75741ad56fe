"""The seam between networks: what is hashed, what each kind costs, which routes are asked.

    wire = wire_of(client)                       # one look at /status
    position = client.ask(wire.status)
    account = client.ask(partial(wire.account, address=address))

    face        what a network's wire format must offer
    january     the node of January 2026, which takes results: `transaction`, `block`, `queries`
    v3          the CometBFT network, which takes none yet: `node_client.v3`

What is common to all networks speaks to `Wire` alone: `query status|balance|block`, and the choice of
the network in `tx send`. Mining speaks to January through `NodeClient`, since no other network takes
results. For v3 to take them, its file here gets the result's text, gas and route, and `Wire` what
mining needs of both.
"""

from functools import partial
from typing import Any

from node_client.errors import BadResponse, NodeNotReady, NotFound
from node_client.queries import get
from node_client.rpc import NodeClient
from node_client.v3.answers import is_comet
from node_client.wire.face import Position, Signed, Wire
from node_client.wire.january import JANUARY
from node_client.wire.v3 import V3

__all__ = ["JANUARY", "V3", "Position", "Signed", "Wire", "wire_of"]


def wire_of(client: NodeClient) -> Wire[Any]:
    """Ask /status once which network the nodes are of. Raises NodeError where none answers."""
    try:
        return V3 if client.ask(partial(get, path="/status", parse=is_comet)) else JANUARY
    except (BadResponse, NodeNotReady, NotFound):
        return JANUARY  # whatever is asked next says what is wrong with the node
