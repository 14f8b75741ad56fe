"""The processes: a validator and its workers, as the command line starts them."""

import os
import signal
import subprocess
import time

import psutil

from node_client.keystore import Keystore
from tests.processes import ENGINE, PATIENCE_SECONDS, end


class Party:
    """One process, started again as often as it is killed. Its output lies in `name`.log."""

    def __init__(self, directory, name, *arguments):
        self.directory = directory / name
        self.directory.mkdir()
        self.log = directory / f"{name}.log"
        self.starts = 0
        self._arguments = arguments
        self._process = None
        self._environment = os.environ | {
            "CPC_STATE": str(self.directory / "state"),
            "CPC_KEYS": str(self.directory / "keys"),
            "HOME": str(self.directory),
            "OPENBLAS_NUM_THREADS": "1",
        }

    def start(self):
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*ENGINE, *self._arguments], stdout=log, stderr=log, env=self._environment
            )

    def run(self, *arguments):
        """Another command of this party's, to its end; gives what it prints."""
        done = subprocess.run(
            [*ENGINE, *arguments], capture_output=True, text=True, env=self._environment
        )
        assert done.returncode == 0, done
        return done.stdout

    def kill(self):
        """SIGKILL: nothing is finished, nothing closed."""
        self._process.kill()
        self._process.wait()

    def kill_child(self):
        """SIGKILL to the process that computes; False where there is none now."""
        for child in psutil.Process(self._process.pid).children():
            if "resource_tracker" not in " ".join(child.cmdline()):
                child.kill()
                return True
        return False

    def stall(self, seconds):
        """SIGSTOP, and SIGCONT after a while: as a laptop that sleeps, or a machine that swaps."""
        self._process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    @property
    def is_running(self):
        return self._process is not None and self._process.poll() is None

    def end(self):
        """SIGTERM, as an operator would; gives the exit code."""
        if not self.is_running:
            return self._process.returncode
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(PATIENCE_SECONDS)
        finally:
            end(self._process)


def worker(directory, name, url, device):
    """A worker with a key of its own."""
    party = Party(
        *(directory, name, "work", "--validator", url, "--device", device, "--threads", "1"),
        *("--validator-failures", "1000", "--json"),  # it is the proxy that cuts
    )
    party.address = Keystore(party.directory / "keys").create("worker").address
    return party


def validator(directory, port, url):
    """A validator whose public address is the proxy's."""
    return Party(
        directory,
        "validator",
        *("validator", "serve", "--port", str(port), "--public-url", url),
        *("--device", "reference", "--json"),
    )
