"""The devnet: a whole ComputeChain node in one process, for tests and for a first try at home.

>>> from node_client.devnet import DevnetServer
>>> with DevnetServer(block_time=0.2) as devnet:
...     devnet.url.startswith("http://127.0.0.1:")
True

It follows NODE.md and the recorded answers in `tests/vectors/rpc.json`; what neither states is
marked "a guess" where it stands. GET /events/stream is left out: the node was seen to deliver its
events too late to be of use, so no client of ours asks for them.

    validators, rules    validators and delegations; what each type of transaction does
    state     accounts and validators, changed as a whole or not at all
    mempool   admission in the node's order, and waiting
    proposer  makes and signs blocks
    chain     all of that under one lock, on the grid of time
    faults    switches for tests: roll back, forget, stall, lie, ...
    lies      how an answer is falsified
    forgery   a chain that a liar makes up
    chaos     faults at random, as a seed has it
    node      what one of several nodes says of the chain
    app, more_routes    routes
    node_server, server    HTTP in threads
"""

from node_client.devnet.chain import Chain
from node_client.devnet.faults import Faults
from node_client.devnet.lies import Lie
from node_client.devnet.node_server import NodeServer
from node_client.devnet.server import DevnetServer
from node_client.devnet.state import AccountState

__all__ = ["AccountState", "Chain", "DevnetServer", "Faults", "Lie", "NodeServer"]
