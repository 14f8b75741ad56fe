"""Looks at what is left when all is over: the validator's books, the workers' ledgers, their logs."""

import json
import sqlite3
from collections import Counter, defaultdict

from kernels.devices import open_device
from tests.engine.poc_worker.soak.orders import right_answer


class Judge:
    """`wrong` holds one sentence for each thing that is not as it must be."""

    def __init__(self):
        self.figures = {}
        self.wrong = []

    def look_at_tasks(self, tasks, payloads, blobs):
        """Every task ended, with the result that this process comes to."""
        self.figures["tasks"] = dict(Counter(task["status"] for task in tasks.values()))
        with open_device("reference") as device:
            for task_id, payload in payloads.items():
                task = tasks[task_id]
                if task["status"] != "completed":
                    self.wrong.append(f"task {task_id} {task['status']}: {task['reason']}")
                elif not _is_right(task["result"], payload, blobs, device):
                    self.wrong.append(f"task {task_id} has a wrong result")

    def look_at_books(self, path, reward):
        """One job of each task was accepted and paid, and no money came or went."""
        with sqlite3.connect(path) as books:
            rows = books.execute("SELECT task_id, state, role FROM jobs").fetchall()
            rewards = books.execute(
                "SELECT j.task_id, r.units FROM rewards r JOIN jobs j USING (job_id)"
            )
            paid = Counter()
            for task, units in rewards.fetchall():  # two, where a second worker confirmed it
                paid[task] += int(units)
            out = books.execute("SELECT address, out_reason FROM workers WHERE out_at IS NOT NULL")
            self.wrong += [f"worker {address} was put out: {why}" for address, why in out]
            open_jobs = books.execute(
                "SELECT count(*) FROM jobs WHERE state IN ('out', 'committed')"
            )
            if left := open_jobs.fetchone()[0]:
                self.wrong.append(f"{left} jobs are open still")
            credit = sum(int(row[0]) for row in books.execute("SELECT credit FROM customers"))
            booked = sum(int(row[0]) for row in books.execute("SELECT units FROM rewards"))
            deposits = sum(
                int(row[0])
                for row in books.execute("SELECT units FROM bookings WHERE task_id IS NULL")
            )
        accepted = Counter(
            task for task, state, role in rows if (state, role) == ("accepted", "first")
        )
        self.figures["jobs"] = dict(Counter(state for _, state, _ in rows))
        self.wrong += [
            f"task {task} was accepted {n} times" for task, n in accepted.items() if n != 1
        ]
        self.wrong += [f"task {task} was paid {n} units" for task, n in paid.items() if n != reward]
        if credit + booked != deposits:
            self.wrong.append(f"{deposits} units came in, and {credit} + {booked} are there")
        if booked != reward * len(accepted):
            self.wrong.append(f"{booked} units are booked for {len(accepted)} tasks")

    def look_at_workers(self, workers):
        """No worker gave two answers to one job, or ended but by a signal."""
        for worker in workers:
            answers = defaultdict(set)
            for line in worker.log.read_text().splitlines():
                try:
                    event = json.loads(line)
                except ValueError:  # cut off by a kill, or an error's sentence
                    if "rror" in line:
                        self.wrong.append(f"a worker says: {line}")
                    continue
                if event["event"] == "job_done":
                    answers[event["job_id"]].add(event["result_hash"])
                if event["event"] in ("validator_bug", "result_rejected"):
                    self.wrong.append(f"a worker says: {line}")
            self.wrong += [f"job {job} got {a}" for job, a in answers.items() if len(a) > 1]


def _is_right(result, payload, blobs, device):
    """Each worker of a synthetic task gets a seed of its own, which the market shows afterwards."""
    given = result["job_payload"] or payload
    own = {"seed"} if payload["challenge_type"] == "synthetic" else set()
    if any(given[name] != payload[name] for name in payload.keys() - own):
        return False
    return result["result_hash"] == right_answer(given, blobs, device)
