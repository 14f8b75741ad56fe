"""What must hold at the end, found out from the chain, the ledger, and what is left on the machine."""

import sqlite3
import statistics
from collections import Counter
from pathlib import Path

from engine.tasks.derivation import BlockTask
from kernels.check import check_proof
from kernels.devices import open_device
from kernels.errors import KernelError
from tests.engine.node.soak.engine import healthy_devices
from tests.engine.node.soak.program import SIZE

WARM_UP_SECONDS = 10.0
LEAST_SAMPLES = 12
LEAST_TOLD = 0.95


class Judge:
    """Collects figures, and sentences on what does not hold."""

    def __init__(self, directory, chain, address):
        self.directory = directory
        self.chain = chain
        self.address = address
        self.figures = {}
        self.broken = []

    def demand(self, holds, sentence):
        if not holds:
            self.broken.append(sentence)

    def look_at_chain(self):
        """Every result on the chain computed again; every task there once; no gap in the nonces."""
        blocks = self.chain.blocks()
        by_task = self._tasks()
        held = Counter()
        wrong = []
        nonces = []
        with open_device("reference") as device:
            for block in blocks:
                for tx in block.txs:
                    if not tx.is_result or tx.from_address != self.address:
                        continue
                    result = tx.compute_result()
                    held[result.task_id] += 1
                    nonces.append(tx.nonce)
                    task = by_task.get(result.task_id)
                    if task is None or not _is_right(device, task, result):
                        wrong.append(result.task_id)
        account = self.chain.account(self.address)
        self.figures |= {
            "blocks on the chain": len(blocks) - 1,
            "results on the chain": sum(held.values()),
            "wrong results on the chain": len(wrong),
            "tasks on the chain twice": sum(count > 1 for count in held.values()),
            "nonces without a result": account.nonce - len(nonces),
        }
        self.demand(not wrong, f"wrong results on the chain: {wrong}")
        self.demand(max(held.values(), default=0) <= 1, "a task stands on the chain twice")
        self.demand(nonces == list(range(account.nonce)), "nonces and results do not fit")
        self.demand(
            self.chain.pending_nonce(self.address) == account.nonce, "transactions wait for ever"
        )

    def look_at_ledger(self):
        """Everything that was signed is final, or given up with a reason."""
        states = Counter()
        reasons = Counter()
        for state, code, reason, tx_hash in self.query(
            "SELECT state, given_up, reason, tx_hash FROM progress"
        ):
            states[state] += 1
            if state == "given_up":
                reasons[code] += 1
                self.demand(bool(reason), "a result was given up without a reason")
            self.demand(state in ("final", "given_up"), f"{tx_hash} is {state} at the end")
        (signed,) = self.query("SELECT count(DISTINCT task_id) FROM transactions")[0]
        on_chain = {tx.hash() for block in self.chain.blocks() for tx in block.txs}
        for (tx_hash,) in self.query("SELECT tx_hash FROM progress WHERE state = 'final'"):
            self.demand(tx_hash in on_chain, f"{tx_hash} is called final and is not on the chain")
        self.figures |= {
            "results computed": sum(states.values()),
            "results signed": signed,
            "final": states["final"],
            "given up, by reason": dict(reasons),
        }

    def look_at_answers(self, events, shots, outages, *, least):
        """How many of the blocks that were seen in good health got an answer.

        `least`: the share that must have one; it depends on what else the machine does. That of those
        with an answer, or with a reason in the ledger why there is none, does not.
        """
        hashes = {block.hash() for block in self.chain.blocks()}
        final = {h for (h,) in self.query("SELECT block_hash FROM progress WHERE state = 'final'")}
        told = final | {h for (h,) in self.query("SELECT hash FROM blocks WHERE skipped <> ''")}
        told |= {h for (h,) in self.query("SELECT block_hash FROM progress WHERE reason <> ''")}
        healthy_at = healthy_devices(events, shots)
        seen = answered = healthy = healthy_answered = healthy_told = 0
        for block_hash, seen_at in self.query("SELECT hash, seen_at FROM blocks"):
            if block_hash not in hashes:
                continue  # rolled back: an answer to it is worth nothing
            seen += 1
            answered += block_hash in final
            node_well = not any(first <= seen_at <= last for first, last in outages)
            if node_well and healthy_at(seen_at):
                healthy += 1
                healthy_answered += block_hash in final
                healthy_told += block_hash in told
        share = healthy_answered / max(healthy, 1)
        share_told = healthy_told / max(healthy, 1)
        self.figures |= {
            "blocks seen": seen,
            "of them answered": answered,
            "seen with a healthy child and node": healthy,
            "of those answered": healthy_answered,
            "share": round(share, 4),
            "share of those answered or skipped with a reason": round(share_told, 4),
        }
        self.demand(share >= least, f"only {share:.1%} of the healthy blocks answered")
        self.demand(share_told >= LEAST_TOLD, f"only {share_told:.1%} answered, or with a reason")

    def look_at_lies(self, events, shots):
        """Wrong results that a child was told to give: found out before anything was signed."""
        found = sum(
            event["event"] == "child_killed" and "wrong result" in event["reason"]
            for event in events
        )
        told = sum(shot.kind == "lie" for shot in shots)
        self.figures["wrong results found out"] = found
        self.demand(found or not told, "a child was told to lie, and nobody noticed")

    def look_at_lives(self, lives):
        """Memory and file descriptors of each process of the engine that lived long enough."""
        flat = []
        for life in lives:
            steady = [sample for sample in life.samples if sample[0] > WARM_UP_SECONDS]
            if len(steady) < LEAST_SAMPLES:
                continue
            quarter = len(steady) // 4
            early, late = steady[:quarter], steady[-quarter:]
            memory = [statistics.mean(s[1] for s in part) / 2**20 for part in (early, late)]
            files = [min(s[2] for s in part) for part in (early, late)]
            flat.append(
                {
                    "seconds": round(steady[-1][0]),
                    "MiB": [round(value, 1) for value in memory],
                    "file descriptors": files,
                }
            )
            self.demand(memory[1] <= 1.1 * memory[0] + 10, f"memory grew from {memory} MiB")
            self.demand(files[1] <= files[0] + 4, f"file descriptors grew from {files}")
        self.figures["long lives, first and last quarter"] = flat
        self.demand(bool(flat), "no process lived long enough to say whether memory is flat")

    def look_for_leftovers(self, processes, shared_memory):
        """Processes that nobody ended, and what is left in /dev/shm of all they ever had there."""
        alive = [process.pid for process in processes]
        left = {name for name in shared_memory if Path("/dev/shm", name).exists()}
        self.figures |= {
            "semaphores and shared memory ever seen": len(shared_memory),
            "of those left over": len(left),
            "processes left over": len(alive),
        }
        self.demand(not alive, f"processes left over: {alive}")
        self.demand(not left, f"left over in /dev/shm: {sorted(left)}")

    def _tasks(self):
        rows = self.query("SELECT block_hash, height, task_index FROM results")
        tasks = (
            BlockTask.derive(block_hash, self.address, index=index, height=height, size=SIZE)
            for block_hash, height, index in rows
        )
        return {task.task_id: task.task for task in tasks}

    def query(self, sql):
        (ledger,) = (self.directory / "state").glob("*.sqlite")
        database = sqlite3.connect(ledger)
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()


def _is_right(device, task, result):
    root = bytes.fromhex(result.result_hash)
    try:
        check_proof(task, root, result.proof, least_openings=16)
    except KernelError:
        return False
    return device.compute(task).root == root
