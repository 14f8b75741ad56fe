"""The whole soak, from the first block to the verdict."""

import time
from collections import Counter
from pathlib import Path

from node_client.devnet import DevnetServer
from node_client.devnet.chaos import Chaos
from node_client.keystore import Keystore
from node_client.networks import UNITS_PER_CPC
from tests.engine.node.soak.engine import Engine
from tests.engine.node.soak.judge import Judge
from tests.engine.node.soak.saboteur import Saboteur

BLOCK_TIME = 0.2
NODE_FAULTS = ("unavailable", "stall", "forget", "roll_back")
LOOK_SECONDS = 0.1
QUIET_SECONDS = 20.0
"""At the end nothing is done any more, so that the last process lives for a while."""
LEAST_ANSWERED = 0.95


def soak(
    directory,
    *,
    seconds,
    seed,
    node_every=4.0,
    process_every=5.0,
    quiet=QUIET_SECONDS,
    least_answered=LEAST_ANSWERED,
    memory=True,
):
    """Run it in `directory`; gives the judge, with figures and what does not hold.

    `node_every`, `process_every`: seconds from one fault to the next. `memory`: whether to look at that
    of long lives, for which `quiet` must be long enough.
    """
    directory = Path(directory)
    key = Keystore(directory / "keys").create("worker")
    server = DevnetServer(block_time=BLOCK_TIME, balances={key.address: 1000 * UNITS_PER_CPC})
    with server, Engine(directory, server.url) as engine:
        engine.start()
        engine.wait_for_block()
        started = time.monotonic()
        clock = time.time() - time.monotonic()
        saboteur = Saboteur(engine, directory, seed=seed, every=process_every)
        chaos = Chaos(server.chain, server.faults, seed=seed, every=node_every, kinds=NODE_FAULTS)
        with chaos:
            _watch(engine, saboteur, until=started + seconds - quiet)
        _watch(engine, None, until=started + seconds)
        to_stop = engine.end()
        engine.settle()
        judge = Judge(directory, server.chain, key.address)
        judge.figures |= {
            "seed": seed,
            "seconds": round(seconds),
            "node faults": dict(Counter(happened.fault.kind for happened in chaos.history)),
            "process faults": dict(Counter(shot.kind for shot in saboteur.shots)),
            "starts of the engine": len(engine.lives),
            "exit codes": dict(Counter(engine.exits)),
            "seconds from SIGTERM to the end": round(to_stop, 2),
        }
        judge.look_at_chain()
        judge.look_at_ledger()
        outages = [
            (clock + happened.at, clock + happened.at + happened.fault.seconds)
            for happened in chaos.history
            if happened.fault.seconds
        ]
        events = list(engine.events())
        judge.look_at_answers(events, saboteur.shots, outages, least=least_answered)
        judge.look_at_lies(events, saboteur.shots)
        if memory:
            judge.look_at_lives(engine.lives)
        judge.look_for_leftovers(engine.left_over(), engine.shared_memory)
    return judge


def _watch(engine, saboteur, until):
    looked = 0.0
    while (now := time.monotonic()) < until:
        if saboteur is not None:
            saboteur.look()
        if now - looked >= 1.0:
            engine.look()
            looked = now
        time.sleep(LOOK_SECONDS)
