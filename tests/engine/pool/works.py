"""Work that is no block's task, for children of the tests: values that a child can import."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from kernels.errors import DeviceFault, WrongResult
from kernels.work import Outcome


@dataclass(frozen=True)
class Echo:
    """Gives back how many bytes it was given."""

    content: bytes
    cost: int = 1000
    bytes_needed: int = 0
    outcome_bytes: int = 8

    def run(self, device):
        return Outcome(len(self.content).to_bytes(32), data=self.content[:8])

    def check(self, outcome):
        if int.from_bytes(outcome.result_hash) != len(self.content):
            raise WrongResult("another length")


@dataclass(frozen=True)
class Large(Echo):
    """Gives back what it was given, however large."""

    def run(self, device):
        return Outcome(len(self.content).to_bytes(32), data=self.content)


@dataclass(frozen=True)
class Touch(Echo):
    """Tells where it is: appends a byte to the file that it was given the path of, then naps."""

    seconds: float = 0.0

    def run(self, device):
        with Path(os.fsdecode(self.content)).open("ab") as file:
            file.write(b".")
        time.sleep(self.seconds)
        return super().run(device)


@dataclass(frozen=True)
class Die(Echo):
    def run(self, device):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Lie(Echo):
    def run(self, device):
        return Outcome(bytes(32))


@dataclass(frozen=True)
class Bomb(Echo):
    """Its check trips over what the child says, as a plug-in's may."""

    def check(self, outcome):
        raise ZeroDivisionError("of a plug-in")


@dataclass(frozen=True)
class Nap(Echo):
    def run(self, device):
        time.sleep(3600)


@dataclass(frozen=True)
class Poison(Echo):
    """As a kernel that touched an illegal address."""

    def run(self, device):
        raise DeviceFault("the CUDA driver said CUDA_ERROR_ILLEGAL_ADDRESS", sticky=True)


@dataclass(frozen=True)
class Bug(Echo):
    def run(self, device):
        return [][1]


@dataclass(frozen=True)
class Stop(Echo):
    """Stops the child's process, heartbeat and all."""

    def run(self, device):
        os.kill(os.getpid(), signal.SIGSTOP)
