"""Jobs a second from a validator to a worker and back, and the CPU time that each side takes for one.

    python -m bench.jobs                             # 2,000 synthetic jobs of n = 64
    python -m bench.jobs --workers 10 --validators 2 --store postgresql://user@host/empty
    python -m bench.jobs --before ../old --turns 3   # an older tree (git archive), too

A real `cpc-engine validator serve` and a real `cpc-engine work` on this machine, one connection, each
with the device `cpu` and one thread. Customers post first, over HTTP; then the worker is started. The
first tenth of the jobs is warm-up. Rate and CPU time (of each side's whole process tree) are of the
rest, by the validator's database, which is looked into ten times a second.
"""

import argparse
import json
import os
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil
import requests

ROOT = Path(__file__).parents[1]
ENGINE = [sys.executable, "-c", "from engine.cli import main; main()"]
POSTED_EACH = 190
"""By one customer: the market takes 200 at once."""
PATIENCE = 300.0


class Tree:
    """The engine of one source tree, with files of its own."""

    def __init__(self, source, directory):
        self.source, self.directory = source, directory
        directory.mkdir()
        self.environment = os.environ | {
            "PYTHONPATH": str(source),
            "CPC_STATE": str(directory / "state"),
            "CPC_KEYS": str(directory / "keys"),
            "CPC_KEY_PASSPHRASE": "",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def call(self, *arguments):
        done = subprocess.run(
            [*ENGINE, *arguments],
            cwd=self.source,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"{arguments}: {done.stderr}")
        return json.loads(done.stdout)

    @contextmanager
    def started(self, *arguments):
        with (self.directory / f"{arguments[0]}.log").open("a") as log:
            process = psutil.Popen(
                [*ENGINE, *arguments],
                cwd=self.source,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield process
            finally:
                process.terminate()
                process.wait(30)


def cpu_seconds(process):
    """Of the process and its children."""
    total = 0.0
    for one in [process, *process.children(recursive=True)]:
        times = one.cpu_times()
        total += times.user + times.system
    return total


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > end:
            raise SystemExit(f"waited {PATIENCE:.0f} s for {what}")
        time.sleep(0.1)
    return value


def answers(url):
    try:
        return requests.get(f"{url}/tasks?limit=1", timeout=5).ok
    except requests.ConnectionError:
        return False


def post(url, tokens, count, size):
    """Post so many tasks; tasks a second."""
    began = time.monotonic()
    for number in range(count):
        if number % POSTED_EACH == 0:
            session = requests.Session()
            session.headers["authorization"] = f"Bearer {tokens[number // POSTED_EACH]}"
        task = {
            "challenge_type": "synthetic",
            "payload": {"seed": f"{number:032x}", "matrix_size": size},
            "reward": "0.01",
            "deadline": time.time() + 3600,
        }
        session.post(f"{url}/tasks", json=task, timeout=30).raise_for_status()
    return count / (time.monotonic() - began)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


def measure(source, directory, count, size, validators=1, workers=1, store=None):
    """Figures of one run. `store`: URL of an empty PostgreSQL database, else SQLite."""
    tree = Tree(source, directory)
    files = ("--directory", str(directory / "validator"), *(("--store", store) if store else ()))
    tokens = []
    for number in range(-(-count // POSTED_EACH)):
        name = f"customer{number}"
        added = tree.call(
            "validator", "customers", "add", name, "--credit", "100", "--json", *files
        )
        tokens.append(added["token"])
    for number in range(workers):
        tree.call("keys", "add", f"worker{number}", "--json")
    ports = [free_port() for _ in range(validators)]
    port = ports[0]
    device = ("--device", "cpu", "--threads", "1", "--json")
    serve = ("validator", "serve", *files, *device)
    with ExitStack() as running:
        serving = [running.enter_context(tree.started(*serve, "--port", str(one))) for one in ports]
        wait_for(lambda: all(answers(f"http://127.0.0.1:{one}") for one in ports), "the validators")
        posts = post(f"http://127.0.0.1:{port}", tokens, count, size)
        database = running.enter_context(closing(_connect(directory, store)))

        def closed():
            sql = "SELECT count(*) FROM tasks WHERE status = 'completed'"
            return database.execute(sql).fetchone()[0]

        working = [
            running.enter_context(tree.started(*_work(n, ports[n % validators]), *device))
            for n in range(workers)
        ]

        def look():
            cpu = [sum(map(cpu_seconds, side)) for side in (serving, working)]
            return closed(), time.monotonic(), *cpu

        wait_for(lambda: closed() >= count // 10, "the first tenth")
        began = look()
        wait_for(lambda: closed() == count, "the last")
        ended = look()
    jobs, seconds, of_validators, of_workers = (b - a for a, b in zip(began, ended, strict=True))
    return {
        "jobs_a_second": round(jobs / seconds, 1),
        "validator_cpu_ms": round(1000 * of_validators / jobs, 2),
        "worker_cpu_ms": round(1000 * of_workers / jobs, 2),
        "posts_a_second": round(posts, 1),
    }


def _work(number, port):
    url = f"ws://127.0.0.1:{port}/worker"
    return ("work", "--validator", url, "--from", f"worker{number}")


def _connect(directory, store):
    if store is None:
        return sqlite3.connect(directory / "validator" / "validator.sqlite")
    import psycopg

    return psycopg.connect(store, autocommit=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--validators", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--store", help="URL of an empty PostgreSQL database, for one turn")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--before", type=Path, help="an older source tree, measured in turns")
    parser.add_argument("--jobs-before", type=int, default=300)
    parser.add_argument("--keep", type=Path, help="keep the files of the last run there")
    arguments = parser.parse_args()
    runs = {"after": (ROOT, arguments.jobs)}
    if arguments.before:
        runs = {"before": (arguments.before.resolve(), arguments.jobs_before)} | runs
    found = {name: [] for name in runs}
    for turn in range(arguments.turns):
        for name, (source, count) in runs.items():
            with tempfile.TemporaryDirectory() as directory:
                places = (arguments.validators, arguments.workers, arguments.store)
                figures = measure(source, Path(directory) / name, count, arguments.size, *places)
                if arguments.keep:
                    shutil.copytree(Path(directory) / name, arguments.keep, dirs_exist_ok=True)
            found[name].append(figures)
            print(f"turn {turn + 1}, {name}: {json.dumps(figures)}", flush=True)
    for name, figures in found.items():
        medians = {key: statistics.median(one[key] for one in figures) for key in figures[0]}
        print(f"median, {name}: {json.dumps(medians)}")


if __name__ == "__main__":
    main()
