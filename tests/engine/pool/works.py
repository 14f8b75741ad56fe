"""Work that is no block's task, for children of the tests: values that a child can import."""

import os
import signal
import time
from dataclasses import dataclass

from kernels.errors import DeviceFault, WrongResult
from kernels.work import Outcome


@dataclass(frozen=True)
class Echo:
    """Gives back how many bytes it was given."""

    content: bytes
    cost: int = 1000
    bytes_needed: int = 0

    def run(self, device):
        return Outcome(len(self.content).to_bytes(32), data=self.content[:8])

    def check(self, outcome):
        if int.from_bytes(outcome.result_hash) != len(self.content):
            raise WrongResult("another length")


@dataclass(frozen=True)
class Lie(Echo):
    def run(self, device):
        return Outcome(bytes(32))


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
