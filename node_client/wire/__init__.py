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
from gettext import gettext as _
from typing import Any

from node_client.errors import BadResponse, NodeNotReady, NotFound, WrongChain
from node_client.queries import get
from node_client.rpc import NodeClient
from node_client.v3.answers import is_comet
from node_client.wire.face import Position, Signed, Wire
from node_client.wire.january import JANUARY
from node_client.wire.v3 import V3

__all__ = ["JANUARY", "V3", "Position", "Signed", "Wire", "wire_of"]


def wire_of(client: NodeClient) -> Wire[Any]:
    """Ask /status once which network the nodes are of.

    Raises WrongChain for nodes of both, of which either could be meant, and NodeError where none
    answers.
    """
    look = partial(get, path="/status", parse=is_comet)
    if len(client.urls) > 1 and len(found := client.ask_each(look)) > 0:
        if len(set(found.values())) > 1:
            names = ", ".join(name for name, is_v3 in found.items() if is_v3)
            raise WrongChain(
                _("some nodes are of the v3 network, and some are not: {names}").format(names=names)
            )
        return V3 if any(found.values()) else JANUARY
    try:
        return V3 if client.ask(look) else JANUARY
    except (BadResponse, NodeNotReady, NotFound):
        return JANUARY  # whatever is asked next says what is wrong with the node
