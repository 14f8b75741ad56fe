"""Children that go wrong in one way each: real processes, run by the tests in place of `child_main`.

State that must outlive a child (how often it went wrong before) lies in the directory CPC_VILLAIN.
"""

import ctypes
import os
import signal
import threading
import time
from pathlib import Path

import kernels.memory
from engine.pool.worker_main import serve
from kernels.devices import open_device


def _times(name):
    """How often this was called before, over all children."""
    path = Path(os.environ["CPC_VILLAIN"]) / name
    before = path.stat().st_size if path.exists() else 0
    with path.open("ab") as file:
        file.write(b".")
    return before


class Wrapped:
    """A real device with one thing changed."""

    def __init__(self, device):
        self._device = device
        self.name = device.name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._device.close()

    def compute(self, task):
        return self._device.compute(task)

    def prepare(self, task):
        self._device.prepare(task)

    def lie(self, task):
        """A commitment to the result of another seed."""
        other = type(task)(task.seed[::-1], task.n, task.iterations)
        commitment = self._device.compute(other)
        commitment.task = task
        return commitment


class _Liar(Wrapped):
    """Passes the known-answer test, then commits to a result of another seed."""

    def compute(self, task):
        if task.n < 64 or task.n in (100, 255, 256, 257, 300, 1000):
            return self._device.compute(task)
        return self.lie(task)


class _Hanger(Wrapped):
    def compute(self, task):
        if task.n == 64 and _times("hang") == 0:
            time.sleep(3600)
        return self._device.compute(task)


class _Suicide(Wrapped):
    def compute(self, task):
        if task.n == 64 and _times("suicide") == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._device.compute(task)


class _Stopper(Wrapped):
    """Stops its own process, heartbeat and all."""

    def compute(self, task):
        if task.n == 64 and _times("stop") == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return self._device.compute(task)


def cpu_in_disguise(name, setup, orders, reports):
    """No villain: a CPU that goes by a card's name."""

    def open_it():
        device = open_device("cpu", setup.threads)
        device.name = name
        return device

    serve(open_it, setup, orders, reports)


class _Leaker(Wrapped):
    """Keeps half a gigabyte once, which it does not give back."""

    def compute(self, task):
        if task.n == 64 and _times("leak") == 0:
            self.kept = b"x" * 2**29
        return self._device.compute(task)


def leaking_child(name, setup, orders, reports):
    serve(lambda: _Leaker(open_device(name, setup.threads)), setup, orders, reports)


def numb_child(name, setup, orders, reports):
    """Hangs with the interpreter's lock in its hand: no other thread of it ever runs again."""

    def hang():
        _times("numb")
        ctypes.PyDLL(None).sleep(3600)

    serve(hang, setup, orders, reports)


def lying_child(name, setup, orders, reports):
    serve(lambda: _Liar(open_device(name, setup.threads)), setup, orders, reports)


def hanging_child(name, setup, orders, reports):
    serve(lambda: _Hanger(open_device(name, setup.threads)), setup, orders, reports)


def suicidal_child(name, setup, orders, reports):
    serve(lambda: _Suicide(open_device(name, setup.threads)), setup, orders, reports)


def stopping_child(name, setup, orders, reports):
    serve(lambda: _Stopper(open_device(name, setup.threads)), setup, orders, reports)


def poor_child(name, setup, orders, reports):
    """An honest child of a machine with 16 MiB of memory left."""
    kernels.memory.available_memory = lambda: 16 * 2**20
    serve(lambda: open_device(name, setup.threads), setup, orders, reports)


def broken_child(name, setup, orders, reports):
    raise RuntimeError("this child never starts")


def stubborn_child(name, setup, orders, reports):
    """Ignores SIGTERM and the order to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    class Deaf:
        def recv(self):
            order = orders.recv()
            while order is None:
                time.sleep(3600)
            return order

    serve(lambda: open_device(name, setup.threads), setup, Deaf(), reports)


def half_message_child(name, setup, orders, reports):
    """Writes the beginning of a message, once, and dies; an honest child after that."""
    if _times("half") == 0:
        os.write(reports.fileno(), b"\x00\x00\x10\x00half of a message")
        os._exit(3)
    serve(lambda: open_device(name, setup.threads), setup, orders, reports)


def garbage_child(name, setup, orders, reports):
    """Sends bytes that are no message, once; an honest child after that."""
    if _times("garbage") == 0:
        reports.send_bytes(b"this is no pickle")
        threading.Event().wait(3600)
    serve(lambda: open_device(name, setup.threads), setup, orders, reports)
