"""What a farm costs its head: the way to another machine and back, and a task's way to the chain.

    OPENBLAS_NUM_THREADS=1 python -m bench.farm --machines 4    # as `mine` sets it for itself

Raylets on this one machine stand for the farm's, with tasks so small (n = 16) that the kernels cost
next to nothing. Local children and the farm's take turns, round by round, in one run.
"""

import argparse
import json
import pickle
import statistics
import tempfile
import threading
import time
from concurrent.futures import FIRST_COMPLETED, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import psutil

from engine.monitor.events.pool import DeviceReady
from engine.monitor.troubles import Troubles
from engine.pool.actions import Check, Opening
from engine.pool.checked_leaves import draw_leaves, why_wrong
from engine.pool.codec import encode
from engine.pool.job_queue import URGENT, Job
from engine.pool.messages import Computed, Setup, Work
from engine.pool.pool import Pool
from engine.pool.ray.launcher import Farm
from engine.tasks.derivation import BlockTask
from engine.txmgr.ledger import Ledger
from engine.txmgr.manager import Sender
from engine.txmgr.signer import SenderSettings
from kernels.devices import open_device
from node_client.devnet import DevnetServer
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS, UNITS_PER_CPC
from node_client.rpc import NodeClient
from tests.engine.pool.ray.raylets import Raylets

SIZE = 16
OPENINGS = 16
GENESIS = "0" * 64
FAR_HEIGHT = 10**6
"""Above every height that the devnet comes to: the sender finds these blocks neither old nor gone."""


def run(pool, tasks, at_once):
    """Seconds until all are accepted, with at most so many submitted and not done; the results."""
    waiting, flying, accepted = list(tasks), set(), []
    started = time.perf_counter()
    while waiting or flying:
        while waiting and len(flying) < at_once:
            flying.add(pool.submit(waiting.pop().task, openings=OPENINGS, priority=URGENT))
        done, flying = wait(flying, 60, FIRST_COMPLETED)
        accepted += [future.result() for future in done]
    return time.perf_counter() - started, accepted


@contextmanager
def ready_pool(devices, count, **more):
    """A pool of which so many devices are ready."""
    ready = threading.Semaphore(0)

    def report(event):
        if isinstance(event, DeviceReady):
            ready.release()

    with Pool(devices, report, **more) as pool:
        for _ in range(count):
            assert ready.acquire(timeout=120)
        yield pool


def local(threads):
    return ready_pool(["cpu"], 1, setup=Setup(threads))


def farm(address, machines):
    return ready_pool([], machines, launch=partial(Farm, address))


def gateway_of_this_process():
    """The farm's: the oldest spawned child of this process."""
    children = psutil.Process().children()
    spawned = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    return min(spawned, key=psutil.Process.create_time)


def some_tasks(count, address, size=SIZE):
    return [
        BlockTask.derive(
            f"{index // 16:064x}", address, index=index % 16, height=FAR_HEIGHT, size=size
        )
        for index in range(count)
    ]


def overhead(near, far, key, rounds):
    """One task at a time: milliseconds from handing it in to its acceptance, medians of rounds."""
    tasks = some_tasks(100, key.address)
    times = {"local child": [], "farm": []}
    for _ in range(rounds):
        for name, bench in (("local child", near), ("farm", far)):
            times[name].append(1000 * run(bench, tasks, at_once=1)[0] / len(tasks))
    return {name: round(statistics.median(seen), 2) for name, seen in times.items()}


def dispatch(bench, key, machines, count):
    """Tasks a second through all machines, and what each of them takes of the CPU, by process."""
    tasks = some_tasks(count, key.address)
    run(bench, tasks[:100], at_once=2 * machines)
    gateway = gateway_of_this_process()
    before = {
        "engine, whole": time.process_time(),
        "gateway": sum(gateway.cpu_times()[:2]),
    }
    seconds, _ = run(bench, tasks, at_once=4 * machines)
    after = (time.process_time(), sum(gateway.cpu_times()[:2]))
    spent = {
        f"{name}, CPU ms a task": round(1000 * (now - then) / count, 2)
        for (name, then), now in zip(before.items(), after, strict=True)
    }
    return round(count / seconds), spent


def checking(key, size, count=64):
    """Milliseconds for the engine's check of one result: its proof, and leaves of its own."""
    with open_device("cpu", 1) as device:
        task = some_tasks(1, key.address, size)[0].task
        commitment = device.compute(task)
        result = _compute(device, task)
        leaves = draw_leaves(task, result)
        check = Check(
            "cpu", 1, Job(1, task, OPENINGS), Opening(result, leaves, commitment.siblings(leaves))
        )
        started = time.perf_counter()
        for _ in range(count):
            assert why_wrong(check) is None
        return round(1000 * (time.perf_counter() - started) / count, 2)


def chain_side(key, count):
    """Milliseconds a result for the ledger, the signature and the sending, with a real devnet."""
    tasks = some_tasks(count, key.address)
    network = NETWORKS["devnet"]
    with open_device("cpu", 1) as device:
        computed = [_compute(device, task.task) for task in tasks]
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        funds = {key.address: 1000 * UNITS_PER_CPC}
        server = stack.enter_context(DevnetServer(block_time=0.2, balances=funds))
        path = Path(directory) / "ledger.sqlite"
        ledger = stack.enter_context(
            Ledger.open(path, chain_id="bench", genesis=GENESIS, address=key.address)
        )
        for task in tasks:
            ledger.record_block(task.height, task.block_hash, 0.0, 16)
        started = time.perf_counter()
        for task, result in zip(tasks, computed, strict=True):
            ledger.record_computed(task, result, 0.0)
        written = time.perf_counter() - started
        settings = SenderSettings(network, network.min_gas_price)
        client, failures = NodeClient([server.url]), []
        sender = Sender(client, ledger, key, settings, _ignore, Troubles(_ignore), failures.append)
        signed, wall, cpu = 0, 0.0, 0.0
        while signed < count // 2:
            before = len(ledger.to_sign())
            started, spent = time.perf_counter(), time.thread_time()
            sender.step()
            wall += time.perf_counter() - started
            cpu += time.thread_time() - spent
            signed += before - len(ledger.to_sign())
            time.sleep(0.2)
    return {
        "written down, ms": round(1000 * written / count, 2),
        "signed, written down and sent, ms": round(1000 * wall / signed, 2),
        "of it CPU, ms": round(1000 * cpu / signed, 2),
    }


def _ignore(_event):
    pass


def _compute(device, task):
    commitment = device.compute(task)
    proof = commitment.proof(min(OPENINGS, task.leaf_count))
    return Computed(1, commitment.root, proof, "cpu", 0.001)


def idle(machines, seconds):
    """CPU of engine and gateway for each idle device, milliseconds a second; events are beats."""
    gateway = gateway_of_this_process()
    before, mine = sum(gateway.cpu_times()[:2]), time.process_time()
    time.sleep(seconds)
    spent = sum(gateway.cpu_times()[:2]) - before
    own = time.process_time() - mine
    return {
        "gateway, CPU ms a device and second": round(1000 * spent / seconds / machines, 2),
        "engine, CPU ms a device and second": round(1000 * own / seconds / machines, 2),
    }


def bytes_of_a_task(bench, key, size, count=64):
    """Bytes over the loopback interface for each task of this size, less what goes without any."""
    tasks = some_tasks(count, key.address, size)
    run(bench, tasks, at_once=4)
    before = psutil.net_io_counters(pernic=True)["lo"].bytes_sent
    seconds, accepted = run(bench, tasks, at_once=4)
    during = psutil.net_io_counters(pernic=True)["lo"].bytes_sent - before
    before = psutil.net_io_counters(pernic=True)["lo"].bytes_sent
    time.sleep(seconds)
    quiet = psutil.net_io_counters(pernic=True)["lo"].bytes_sent - before
    order = len(pickle.dumps(Work(1, tasks[0].task, OPENINGS)))
    result = len(encode(accepted[0]))
    return {
        "on the wire": round((during - quiet) / count),
        "order, pickled": order,
        "result with its proof, as a frame": result,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0, help="of idling")
    arguments = parser.parse_args()
    machines, key = arguments.machines, PrivateKey.generate()
    tell("machines, n", [machines, SIZE])
    with Raylets() as raylets:
        for _ in range(machines):
            raylets.add()
        with farm(raylets.address, machines) as far:
            with local(1) as near:
                tell("one task at a time, ms", overhead(near, far, key, arguments.rounds))
            rate, spent = dispatch(far, key, machines, arguments.tasks)
            tell("dispatched and checked, tasks a second", rate)
            tell("of it", spent)
            tell("bytes a task at n = 1024", bytes_of_a_task(far, key, 1024))
            tell("idle", idle(machines, arguments.seconds))
    tell("one check, ms", {f"n = {size}": checking(key, size) for size in (16, 1024)})
    tell("towards the chain, for a result", chain_side(key, 256))


def tell(what, found):
    """Print it at once: what takes too long, or fails, takes nothing with it."""
    print(json.dumps({what: found}), flush=True)


if __name__ == "__main__":
    main()
