"""What a checker may turn into: entry points that a child process can import."""

import contextlib
import os
import signal
import time
from pathlib import Path

from engine.pool.checker_main import CheckerReady
from engine.pool.codec import encode, write_frame
from engine.pool.leaf_digests import Digests, digest_main
from engine.pool.worker_main import next_order
from kernels.check import opened_digests


def _after_ready(orders, reports):
    write_frame(reports.fileno(), encode(CheckerReady()))
    return next_order(orders)


def lies(orders, reports):
    order = _after_ready(orders, reports)
    while order is not None:
        wrong = bytes(32) * len(order.leaves)
        write_frame(reports.fileno(), encode(Digests(order.ticket, wrong)))
        order = next_order(orders)


def gives_too_few(orders, reports):
    order = _after_ready(orders, reports)
    while order is not None:
        write_frame(reports.fileno(), encode(Digests(order.ticket, b"")))
        order = next_order(orders)


def waits_while_told(orders, reports):
    """No villain: slow, for as long as a file is there."""
    order = _after_ready(orders, reports)
    while order is not None:
        while Path(os.environ["CPC_VILLAIN"], "late").exists():
            time.sleep(0.01)
        digests = opened_digests(order.task, order.leaves)
        said = Digests(order.ticket, b"".join(digests[leaf] for leaf in order.leaves))
        write_frame(reports.fileno(), encode(said))
        order = next_order(orders)


def compiles_for_long(orders, reports):
    """No villain: not ready as long as a file is there."""
    while Path(os.environ["CPC_VILLAIN"], "compiling").exists():
        time.sleep(0.01)
    waits_while_told(orders, reports)


def dies(orders, reports):
    _after_ready(orders, reports)
    os.kill(os.getpid(), signal.SIGKILL)


def hangs(orders, reports):
    _after_ready(orders, reports)
    os.kill(os.getpid(), signal.SIGSTOP)


def babbles(orders, reports):
    _after_ready(orders, reports)
    os.write(reports.fileno(), b"\0\0\0\4nons")
    signal.pause()


def is_ready_again_and_again(_orders, reports):
    frames = encode(CheckerReady()) * 100
    with contextlib.suppress(OSError):
        while True:
            write_frame(reports.fileno(), frames)


def fails_its_test(orders, reports):
    import kernels.known_answer as answers

    answers.ANSWERS = dict.fromkeys(answers.ANSWERS, "00" * 32)
    digest_main(orders, reports)
