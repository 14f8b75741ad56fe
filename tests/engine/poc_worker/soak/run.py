"""The whole soak, from the first task to the verdict."""

import random
import signal
import socket
import time
from pathlib import Path

from engine.jobs.blobs import BlobCache
from node_client.networks import UNITS_PER_CPC
from tests.engine.poc_worker.soak import parties
from tests.engine.poc_worker.soak.customer import Customer
from tests.engine.poc_worker.soak.judge import Judge
from tests.engine.poc_worker.soak.orders import make_payloads, upload
from tests.engine.poc_worker.soak.proxy import Proxy
from tests.engine.poc_worker.soak.saboteur import Saboteur

BOOKS = "state/validator/validator.sqlite"


def soak(directory, *, tasks, workers, seed, every, devices, patience, most=None):
    """Run it in `directory`; gives the judge, with figures and what does not hold.

    `every`: seconds from one fault to the next, `most` of them; `devices`: of the workers, in turn.
    """
    directory, chance = Path(directory), random.Random(seed)
    blobs = BlobCache(directory / "blobs", 2**30)
    payloads = make_payloads(tasks, seed, blobs)
    port = _free_port()
    started = time.monotonic()
    with Proxy(port) as proxy:
        url = f"ws://127.0.0.1:{proxy.port}/worker"
        validator = parties.validator(directory, port, url)
        added = validator.run("validator", "customers", "add", "soak", "--credit", str(2 * tasks))
        customer = Customer(f"http://127.0.0.1:{port}", added.splitlines()[0])
        crew = [
            parties.worker(directory, f"worker-{n}", url, devices[n % len(devices)])
            for n in range(workers)
        ]
        everybody = [validator, *crew]
        try:
            for party in everybody:
                party.start()
            upload(payloads, blobs, customer)
            saboteur = Saboteur(
                chance, every=every, proxy=proxy, validator=validator, workers=crew, most=most
            )
            with saboteur:
                customer.work_off(payloads, until=started + patience)
            closed = customer.closed()
            exits = [party.end() for party in reversed(everybody)]
        finally:
            for party in everybody:
                if party.is_running:
                    party.kill()
    judge = Judge()
    judge.figures |= {
        "seed": seed,
        "seconds": round(time.monotonic() - started),
        "faults": dict(saboteur.faults),
        "starts": {party.log.stem: party.starts for party in everybody},
    }
    judge.look_at_tasks(closed, customer.posted, blobs)
    judge.look_at_books(validator.directory / BOOKS, UNITS_PER_CPC)
    judge.look_at_workers(crew)
    # One that was started a moment before is told while it is being loaded.
    if set(exits) - {0, -signal.SIGTERM, 128 + signal.SIGTERM}:
        judge.wrong.append(f"exit codes after SIGTERM: {exits}")
    if len(customer.posted) != tasks:
        judge.wrong.append(f"{len(customer.posted)} tasks were posted in place of {tasks}")
    return judge


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as once:
        return once.getsockname()[1]
