"""A validator that only gives out jobs: as many as the worker takes, new ones for those it answers.

    with flood(job_size=64) as (url, count):
        ...                                  # mine --validator url
        count()                              # results so far

It runs in a process of its own and looks into no result: each is accepted at once. What a worker does
for it is all that it does for a real one, openings left out.
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def flood(job_size: int, in_flight: int = 128) -> Iterator[tuple[str, Callable[[], int]]]:
    """Give the URL, and what counts the results, of a validator that keeps so many jobs waiting."""
    command = [sys.executable, "-m", "bench.flood", str(job_size), str(in_flight)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=ROOT, **pipes) as process:

        def count() -> int:
            process.stdin.write("\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        try:
            yield process.stdout.readline().strip(), count
        finally:
            process.stdin.close()  # it ends
            process.wait()


def main() -> None:
    from threading import Thread

    from websockets.exceptions import ConnectionClosed
    from websockets.sync.server import serve

    from engine.poc_protocol import frames
    from engine.poc_protocol.constants import PROTOCOL
    from node_client.devnet.chain import CHAIN_ID

    size, in_flight = map(int, sys.argv[1:])
    results = [0]

    def give(connection) -> None:
        payload = {
            "challenge_type": "synthetic",
            "seed": secrets.token_hex(32),
            "matrix_size": size,
        }
        job = frames.JobRequest(job_id=secrets.token_hex(8), task_id="flood", payload=payload)
        connection.send(frames.encode(job))

    def handle(connection) -> None:
        nonce = secrets.token_hex(32)
        challenge = frames.Challenge(protocol=PROTOCOL, chain_id=CHAIN_ID, nonce=nonce)
        connection.send(frames.encode(challenge))
        try:
            for message in connection:
                said = json.loads(message)
                if said["type"] == "hello":
                    for _job in range(in_flight):
                        give(connection)
                elif said["type"] == "job_result":
                    results[0] += 1
                    verdict = frames.Verdict(job_id=said["job_id"], accepted=True)
                    connection.send(frames.encode(verdict))
                    give(connection)
                else:
                    sys.exit(f"the worker said {message}")
        except ConnectionClosed:
            return

    with serve(handle, "127.0.0.1", 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        print(f"ws://127.0.0.1:{server.socket.getsockname()[1]}/worker", flush=True)
        for _line in sys.stdin:
            print(results[0], flush=True)


if __name__ == "__main__":
    main()
