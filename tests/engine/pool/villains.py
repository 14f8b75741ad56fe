"""Children that go wrong in one way each: real processes, run by the tests in place of `child_main`.

State that must outlive a child (how often it went wrong before) lies in the directory CPC_VILLAIN.
"""

import contextlib
import ctypes
import os
import pickle
import signal
import threading
import time
from functools import partial
from pathlib import Path

from msgspec import structs

import kernels.memory
from engine.pool import codec, leaf_digests, messages, worker_main
from kernels import known_answer
from kernels.devices import open_device


def ask_small_tasks_alone():
    """Leave the largest task out of this process's known-answer tests: half of a child's start."""
    answers = known_answer.ANSWERS.items()
    known_answer.ANSWERS = {task: root for task, root in answers if task.n < 500}


def serve(*arguments):
    ask_small_tasks_alone()
    worker_main.serve(*arguments)


def honest_child(*arguments):
    ask_small_tasks_alone()
    worker_main.child_main(*arguments)


def honest_checker(*arguments):
    ask_small_tasks_alone()
    leaf_digests.digest_main(*arguments)


def _times(name):
    """How often this was called before, over all children."""
    path = Path(os.environ["CPC_VILLAIN"]) / name
    before = path.stat().st_size if path.exists() else 0
    with path.open("ab") as file:
        file.write(b".")
    return before


class Wrapped:
    """A real device with one thing changed."""

    runs_ahead = False

    def __init__(self, device):
        self._device = device
        self.name = device.name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._device.close()

    def compute(self, task):
        return self._device.compute(task)

    def begin(self, task):
        return partial(self.compute, task)

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


def cpu_in_disguise(name, setup, tasks, reports):
    """No villain: a CPU that goes by a card's name."""

    def open_it(_progress):
        device = open_device("cpu", setup.threads)
        device.name = name
        return device

    serve(open_it, setup, tasks, reports)


class _Told(Wrapped):
    """Goes wrong in the way, and for as long, that a file in CPC_VILLAIN says of this card."""

    def compute(self, task):
        told = Path(os.environ["CPC_VILLAIN"], self.name)
        match told.read_text() if told.exists() else "":
            case "lies":
                return self.lie(task)
            case "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hangs":
                os.kill(os.getpid(), signal.SIGSTOP)
        return self._device.compute(task)


def card_that_is_told(name, setup, tasks, reports):
    """A CPU that goes by a card's name, and wrong when it is told to."""

    def open_it(_progress):
        card = _Told(open_device("cpu", setup.threads))
        card.name = name
        return card

    serve(open_it, setup, tasks, reports)


def cpu_under_a_wrong_name(name, setup, tasks, reports):
    """A CPU that says it is a card."""
    cpu_in_disguise("cuda:9", setup, tasks, reports)


def compiling_child(name, setup, tasks, reports):
    """No villain: one that compiles until a file is there."""

    def open_it(progress):
        progress(0, 4)
        progress(1, 4)
        while not Path(os.environ["CPC_VILLAIN"], "compiled").exists():
            time.sleep(0.01)
        return open_device(name, setup.threads)

    serve(open_it, setup, tasks, reports)


class _Leaker(Wrapped):
    """Keeps half a gigabyte once, which it does not give back."""

    def compute(self, task):
        if task.n == 64 and _times("leak") == 0:
            self.kept = b"x" * 2**29
        return self._device.compute(task)


def leaking_child(name, setup, tasks, reports):
    serve(lambda _progress: _Leaker(open_device(name, setup.threads)), setup, tasks, reports)


def numb_child(name, setup, tasks, reports):
    """Hangs with the interpreter's lock in its hand: no other thread of it ever runs again."""

    def hang(_progress):
        _times("numb")
        ctypes.PyDLL(None).sleep(3600)

    serve(hang, setup, tasks, reports)


def lying_child(name, setup, tasks, reports):
    serve(lambda _progress: _Liar(open_device(name, setup.threads)), setup, tasks, reports)


def hanging_child(name, setup, tasks, reports):
    serve(lambda _progress: _Hanger(open_device(name, setup.threads)), setup, tasks, reports)


def suicidal_child(name, setup, tasks, reports):
    serve(lambda _progress: _Suicide(open_device(name, setup.threads)), setup, tasks, reports)


def stopping_child(name, setup, tasks, reports):
    serve(lambda _progress: _Stopper(open_device(name, setup.threads)), setup, tasks, reports)


def poor_child(name, setup, tasks, reports):
    """An honest child of a machine with 16 MiB of memory left."""
    kernels.memory.available_memory = lambda: 16 * 2**20
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


def broken_child(name, setup, tasks, reports):
    raise RuntimeError("this child never starts")


def stubborn_child(name, setup, tasks, reports):
    """Ignores SIGTERM and the order to end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    class Deaf:
        def empty(self):
            return tasks.empty()

        def get(self):
            order = tasks.get()
            while order is None:
                time.sleep(3600)
            return order

    serve(lambda _progress: open_device(name, setup.threads), setup, Deaf(), reports)


def half_message_child(name, setup, tasks, reports):
    """Writes the beginning of a message, once, and dies; an honest child after that."""
    if _times("half") == 0:
        os.write(reports.fileno(), b"\x00\x00\x10\x00half of a message")
        os._exit(3)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


def half_stopped_child(name, setup, tasks, reports):
    """On the reference: writes the beginning of a message and stops; honest on every other device."""
    if name == "reference":
        os.write(reports.fileno(), b"\x00\x00\x10\x00half of a message")
        _times("half_stopped")
        os.kill(os.getpid(), signal.SIGSTOP)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


def garbage_child(name, setup, tasks, reports):
    """Sends bytes that are no message, once; an honest child after that."""
    if _times("garbage") == 0:
        reports.send_bytes(b"this is no message")
        threading.Event().wait(3600)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


class _RunsWhereItIsRead:
    """Whoever unpickles this runs what it says: it leaves a file behind."""

    def __reduce__(self):
        return Path.touch, (Path(os.environ["CPC_VILLAIN"]) / "owned",)


def pickling_child(name, setup, tasks, reports):
    """Sends a pickled object that runs code where it is read, once; an honest child after that."""
    if _times("pickled") == 0:
        reports.send_bytes(pickle.dumps(_RunsWhereItIsRead()))
        threading.Event().wait(3600)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


def boundless_child(name, setup, tasks, reports):
    """Announces a message of 2 GiB, once, and starts to send it; an honest child after that."""
    if _times("boundless") == 0:
        os.write(reports.fileno(), b"\x7f\xff\xff\xff" + bytes(1000))
        threading.Event().wait(3600)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


def closing_child(name, setup, tasks, reports):
    """Closes every descriptor, once, so that it looks dead, and lives on; honest after that."""
    if _times("closing") == 0:
        os.closerange(3, 1024)
        time.sleep(3600)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


def malformed_child(name, setup, tasks, reports):
    """Answers its first task with the first frame in the directory CPC_VILLAIN, which it takes away;
    an honest child where there is none.
    """

    class Answering(Wrapped):
        def compute(self, task):
            frames = sorted(Path(os.environ["CPC_VILLAIN"]).glob("*.frame"))
            if task.n == 64 and frames:
                frame = frames[0].read_bytes()
                frames[0].unlink()
                os.write(reports.fileno(), frame)
                time.sleep(3600)
            return self._device.compute(task)

    serve(lambda _progress: Answering(open_device(name, setup.threads)), setup, tasks, reports)


class _Forging:
    """The pipe of a child that changes what it says of its fifth job, once."""

    def __init__(self, forge):
        self._forge, self._write = forge, codec.write_frame
        worker_main.write_frame = self

    def __call__(self, fd, frame):
        said = codec.decode_message(bytes(frame[4:]))
        if isinstance(said, messages.Done) and _times("done") == 4:
            frame = self._forge(said, frame)
        self._write(fd, frame)


def twice_answering_child(name, setup, tasks, reports):
    """Answers its fifth job twice."""
    _Forging(lambda _said, frame: frame + frame)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


def foreign_answering_child(name, setup, tasks, reports):
    """Answers a job that it was never given, in place of the fifth."""

    def forge(said, _frame):
        return codec.encode(messages.Done(said.ticket + 10**6, said.outcome, said.device, 0.1))

    _Forging(forge)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


def cutting_child(name, setup, tasks, reports):
    """Dies within the frame of its fifth answer."""

    def forge(_said, frame):
        os.write(reports.fileno(), frame[: len(frame) // 2])
        os._exit(3)

    _Forging(forge)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


class _SaysSlow(Wrapped):
    """Passes for so slow that nobody would notice that it hangs."""

    def compute(self, task):
        if task.n == 64 and _times("slow") == 1:
            time.sleep(3600)
        return self._device.compute(task)


def child_that_says_it_is_slow(name, setup, tasks, reports):
    write = codec.write_frame

    def lie(fd, frame):
        said = codec.decode_message(bytes(frame[4:]))
        if isinstance(said, messages.Computed):
            frame = codec.encode(structs.replace(said, seconds=1e9))
        write(fd, frame)

    worker_main.write_frame = lie
    serve(lambda _progress: _SaysSlow(open_device(name, setup.threads)), setup, tasks, reports)


class _Noting(Wrapped):
    def compute(self, task):
        if task.n == 64:
            with (Path(os.environ["CPC_VILLAIN"]) / "order").open("ab") as file:
                file.write(b"B")
        return self._device.compute(task)


def noting_child(name, setup, tasks, reports):
    """No villain: notes each task of 64, as `Note` does, in the same file."""
    serve(lambda _progress: _Noting(open_device(name, setup.threads)), setup, tasks, reports)


def bequeathing_child(name, setup, tasks, reports):
    """On the reference: says that it is ready, and leaves all it has to a process that lives on.

    It takes each lock that it can reach, and fills each pipe. Honest on every other device.
    """
    if name == "reference":
        codec.write_frame(reports.fileno(), codec.encode(messages.Ready(name, 0.1)))
        bequeath(tasks)
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)


def bequeathing_checker(orders, reports):
    """The same of any checking process."""
    bequeath(orders)


def bequeath(tasks):
    for kept in vars(tasks).values():
        if hasattr(kept, "acquire"):
            kept.acquire()
        elif getattr(kept, "writable", False):
            os.set_blocking(kept.fileno(), False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(kept.fileno(), bytes(4096))
    if os.fork() == 0:
        os.setsid()
        with Path(os.environ["CPC_VILLAIN"], "heirs").open("a") as file:
            file.write(f"{os.getpid()}\n")
    while True:
        signal.pause()


@contextlib.contextmanager
def heirs(directory):
    """Give how many there are; end them at the end, whatever they hold."""

    def pids():
        path = directory / "heirs"
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []

    try:
        yield lambda: len(pids())
    finally:
        for pid in pids():
            os.kill(pid, signal.SIGKILL)


def chattering_child(name, setup, tasks, reports):
    """On the reference: says the same again and again, as fast as it is heard; honest elsewhere."""
    if name == "reference":
        said = codec.encode(messages.Ready(name, 0.1))
        chatter = codec.encode(messages.Beat(1)) * 100
        with contextlib.suppress(OSError):
            while True:
                codec.write_frame(reports.fileno(), said)
                said = chatter
    serve(lambda _progress: open_device(name, setup.threads), setup, tasks, reports)
