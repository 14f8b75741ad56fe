"""Work that is no block's task, for children of the tests: values that a child can import."""

import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from kernels.cache import cache_directory, keep
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
class Note(Touch):
    """Touch, which goes on when the file `until` is there."""

    until: str = "/"

    def run(self, device):
        outcome = super().run(device)
        while not Path(self.until).exists():
            time.sleep(0.005)
        return outcome


@dataclass(frozen=True)
class Die(Echo):
    def run(self, device):
        os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Laborious(Echo):
    """Takes the parent far longer to check than a child to do."""

    def check(self, outcome):
        time.sleep(0.05)
        super().check(outcome)


@dataclass(frozen=True)
class Lie(Echo):
    def run(self, device):
        return Outcome(bytes(32))


@dataclass(frozen=True)
class Deceive(Echo):
    """Right at first; from the 150th on every second one lies, in the first child that ran it."""

    number: int = 0

    def run(self, device):
        path = Path(os.fsdecode(self.content))
        with path.open("ab") as file:
            file.write(b".")
            before = file.tell()
        first = path.with_suffix(".first")
        if before == 1:
            first.write_text(str(os.getpid()))
        lies = before >= 150 and before % 2 and first.read_text() == str(os.getpid())
        return Outcome(bytes(32)) if lies else super().run(device)


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


@dataclass(frozen=True)
class Steal(Echo):
    """Reaches for what a child has no business with: one line each, what came of it."""

    outcome_bytes: int = 4000

    def run(self, device):
        keys = Path(os.fsdecode(self.content))
        said = []
        for name, reach in {
            "read": lambda: (keys / "worker.json").read_text(),
            "list": lambda: list(keys.iterdir()),
            "write": lambda: (keys / "new.json").write_text("x"),
            "move": lambda: keys.rename(keys.with_name("moved")),
            "environment": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
            "memory": lambda: os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY),
            "ipv4": lambda: socket.socket(socket.AF_INET),
            "ipv6": lambda: socket.socket(socket.AF_INET6),
            "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
            "signal": lambda: os.kill(os.getppid(), signal.SIGUSR1),
        }.items():
            try:
                reach()
            except OSError:
                continue
            said.append(name)
        return Outcome(len(self.content).to_bytes(32), data=" ".join(said).encode())


@dataclass(frozen=True)
class OpenFiles(Echo):
    """Gives what the child has open, as links: paths, pipes and sockets."""

    outcome_bytes: int = 4000

    def run(self, device):
        links = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
        return Outcome(len(self.content).to_bytes(32), data="\n".join(links).encode())


@dataclass(frozen=True)
class KeepCode(Echo):
    """Gives whether the child may keep compiled code for its next start."""

    outcome_bytes: int = 10

    def run(self, device):
        kept = keep(cache_directory() / "kernels" / "code", b"code")
        return Outcome(len(self.content).to_bytes(32), data=str(kept).encode())
