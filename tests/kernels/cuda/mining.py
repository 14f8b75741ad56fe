"""Mining on real cards, with faults that are real, too. Needs a GPU; prints what it saw.

    python -m tests.kernels.cuda.mining faults     # a kernel writes out of bounds; another never ends
    python -m tests.kernels.cuda.mining rig        # every GPU, as many tasks a block; one is killed

On an embedded devnet, through the seam that tests of faults have everywhere
(`LocalProcesses.entry`). At the end every result on the chain is computed again on the CPU.
"""

import os
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from statistics import median

from engine.mining.config import MiningConfig
from engine.node.node import run_node
from engine.node.request import NodeRequest
from engine.node.sandbox import Sandbox
from engine.pool.processes import LocalProcesses
from engine.pool.worker_main import serve
from engine.runtime.i18n import speak
from engine.tasks.verification import verify_block
from kernels.cards import pin
from kernels.devices import available_devices, open_device
from node_client.rpc import NodeClient

SIZE, DEPTH = 4096, 2
FAULTS = {3: "illegal address", 8: "endless loop"}
"""Before which task of the run, over all children, which kernel is started."""


def notes():
    return Path(os.environ["CPC_MINING_NOTES"])


def start_faulty_kernel(kind):
    from numba import cuda, int64, uint32

    from kernels.cuda.compiled_kernel import CompiledKernel
    from kernels.cuda.driver import Stream
    from kernels.cuda.intrinsics import load, store

    @cuda.jit
    def writes_to_nowhere(address):
        store(int64(address), int64(0), uint32(1))

    @cuda.jit
    def never_ends(address):
        # With a store in it: a loop that does nothing is taken out by the compiler.
        while load(int64(address), int64(0)) == 0:
            store(int64(address), int64(4), uint32(1))

    if kind == "illegal address":
        CompiledKernel(writes_to_nowhere, 1)(Stream(), (1,), 32, 1 << 20)
    else:
        from kernels.cuda.driver import DeviceBuffer

        flag, stream = DeviceBuffer(16), Stream(first=True)
        stream.clear(flag.address, 4)
        stream.wait()
        # On every multiprocessor, with all its threads: nothing else comes to run.
        CompiledKernel(never_ends, 1)(stream, (4096,), 1024, flag.address)


class Faulty:
    """The real device, in front of which a kernel goes wrong now and then."""

    def __init__(self, device):
        self._device = device
        self.name = device.name

    def __getattr__(self, name):
        return getattr(self._device, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._device.close()

    def compute(self, task):
        if task.n == SIZE:
            path = notes() / "tasks"
            with path.open("ab") as file:
                file.write(b".")
            if kind := FAULTS.get(path.stat().st_size):
                (notes() / kind).write_text(str(time.time()))
                start_faulty_kernel(kind)
        return self._device.compute(task)


def faulty_child(name, setup, orders, reports):
    speak()
    pin(name)
    serve(lambda: Faulty(open_device(name, setup.threads)), setup, orders, reports)


def known_child(name, setup, orders, reports):
    (notes() / f"pid {name}").write_text(str(os.getpid()))
    speak()
    pin(name)
    serve(lambda: open_device(name, setup.threads), setup, orders, reports)


class Recorder:
    """Events with their times; `then` is called with each."""

    def __init__(self, then=lambda event, fields: None):
        self.events, self._then = [], then

    def __call__(self, event):
        name, fields = event.event, event.fields()
        self.events.append((time.time(), name, fields))
        if name in (
            "ready",
            "child_killed",
            "child_ended",
            "given_up",
            "out_of_service",
            "skipped",
        ):
            print(f"{time.time() % 1000:8.3f} {name} {fields}", flush=True)
        self._then(name, fields)

    def after(self, moment, event):
        """Seconds until the first such event after a moment."""
        return next(at - moment for at, kind, _ in self.events if kind == event and at > moment)


def mine(recorder, entry, devices, blocks, **options):
    with Sandbox(1.0, "100", recorder) as sandbox:
        tasks = options.pop("tasks_per_block", 1)
        request = NodeRequest(
            urls=[sandbox.url],
            mining=MiningConfig(SIZE, tasks_per_block=tasks, blocks=blocks),
            devices=devices,
            depth=DEPTH,
            ledger=sandbox.ledger_path,
            **options,
        )
        launch = partial(LocalProcesses, entry=entry)
        summary = run_node(request, sandbox.key, recorder, launch=launch).mining
        client = NodeClient([sandbox.url])
        with open_device("cpu") as cpu:
            verdicts = [
                verdict
                for height in range(1, client.status().height + 1)
                for verdict in verify_block(
                    client, height, size=SIZE, least_openings=1, device=cpu
                ).results
            ]
    wrong = [verdict for verdict in verdicts if not verdict.right]
    print(
        f"{summary.blocks_seen} blocks, {summary.confirmed} results final, {len(verdicts)} on the"
        f" chain computed again on the CPU, {len(wrong)} wrong"
    )
    assert not wrong
    assert verdicts
    return summary


def faults():
    recorder = Recorder()
    mine(recorder, faulty_child, ("cuda:0",), 24)
    for kind in FAULTS.values():
        moment = float((notes() / kind).read_text())
        fallen = min(
            recorder.after(moment, event)
            for event in ("child_killed", "child_ended")
            if any(kind == event and at > moment for at, kind, _ in recorder.events)
        )
        print(
            f"{kind}: noticed after {fallen:.2f} s, another child ready after"
            f" {recorder.after(moment, 'ready'):.2f} s, next result after"
            f" {recorder.after(moment, 'computed'):.2f} s"
        )


def rig():
    devices = tuple(name for name in available_devices() if name.startswith("cuda:"))
    killed = []

    def kill_one(event, fields):
        if (
            event == "block"
            and len(seen := [1 for _, kind, _ in recorder.events if kind == event]) == 12
        ):
            pid = int((notes() / f"pid {devices[-1]}").read_text())
            killed.append((time.time(), fields["height"]))
            print(f"block {len(seen)}: child of {devices[-1]} killed", flush=True)
            os.kill(pid, signal.SIGKILL)

    recorder = Recorder(kill_one)
    mine(recorder, known_child, devices, 24, tasks_per_block=len(devices))
    last = {}
    for _, event, fields in recorder.events:
        if event == "computed":
            height = fields["height"]
            last[height] = max(last.get(height, 0), fields["latency"])
            last.setdefault(f"on {fields['device']}", 0)
            last[f"on {fields['device']}"] += 1
    times = {height: value for height, value in last.items() if isinstance(height, int)}
    (moment, height), *_ = killed
    before = [value for block, value in times.items() if block < height]
    after = [value for block, value in times.items() if block > height + 6]
    for name, values in (("before", before), ("after", after)):
        print(
            f"{len(devices)} tasks a block of size {SIZE}, {name} the kill: block to last result"
            f" {1000 * median(values):.1f} ms in the median, {1000 * max(values):.1f} at most"
        )
    during = {
        block: round(1000 * value)
        for block, value in times.items()
        if height <= block <= height + 6
    }
    print(f"from the killed child's block on, ms: {during}")
    print(f"another child ready {recorder.after(moment, 'ready'):.2f} s after the kill")
    print({name: value for name, value in last.items() if isinstance(name, str)})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        os.environ["CPC_MINING_NOTES"] = directory
        {"faults": faults, "rig": rig}[sys.argv[1]]()
