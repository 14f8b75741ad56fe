"""May this card compute networks itself? A known-answer test, in a process of its own, once a card.

    trial = CardTrial(key, command(0, "wgmma"))
    trial.problem()              # "" or a sentence

Kernels that never ran on a kind of card may be compiled wrongly, hang, or end the CUDA context with
which they run. So a child does it first: `python -m kernels.cuda.network.trial 0 wgmma`. That all was
right is kept as a file, named after card, driver, packages and the source. So is that something was
not, or that a trial began whose process is gone: then jobs are done with the host's help, until one of
those changes. CPC_CARD_JOBS=0 has them done so always, CPC_CARD_JOBS=1 does without the trial.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from gettext import gettext as _
from pathlib import Path

from kernels.cache import cache_directory, keep, read_kept

SWITCH = "CPC_CARD_JOBS"
SECONDS = 120.0
"""For a process that compiles some forty kernels; a device's first job may take 180."""
_SECRET = "PASSPHRASE"  # noqa: S105 - part of the names of variables that the child is not given
_MOST_CHARACTERS = 300


def is_switched_off() -> bool:
    """Whether jobs are to be done with the host's help: with CPC_CARD_JOBS=0."""
    return os.environ.get(SWITCH) == "0"


def command(number: int, tier: str) -> tuple[str, ...]:
    """Return the trial of a card that the driver shows this process under this number."""
    return (sys.executable, "-m", "kernels.cuda.network.trial", str(number), tier)


class CardTrial:
    """One card's. `key`: everything that the answer depends on."""

    def __init__(self, key: str, command: Sequence[str], seconds: float = SECONDS) -> None:
        digest = hashlib.sha256(key.encode()).hexdigest()
        self._file = cache_directory() / f"card-jobs-{digest[:16]}.json"
        self._command, self._seconds = command, seconds
        self._problem: str | None = None

    def problem(self) -> str:
        """Return what is wrong, in a sentence; "" where nothing is. Up to SECONDS, the first time."""
        if self._problem is None:
            self._problem = "" if os.environ.get(SWITCH) == "1" else self._kept()
        if self._problem is None:
            self._keep({"trying": os.getpid()})
            self._problem = self._try()
            self._keep({"problem": self._problem})
        return self._problem

    def distrust(self, problem: str) -> None:
        """Remember that something was wrong after all."""
        self._problem = problem[:_MOST_CHARACTERS]
        self._keep({"problem": self._problem})

    def _try(self) -> str:
        root = str(Path(__file__).parents[3])
        environment = {name: text for name, text in os.environ.items() if _SECRET not in name}
        environment["PYTHONPATH"] = os.pathsep.join([root, environment.get("PYTHONPATH", "")])
        try:
            done = subprocess.run(  # noqa: S603 - this very program
                self._command,
                capture_output=True, text=True, timeout=self._seconds, env=environment, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return _("the known-answer test of networks took more than {seconds:.0f} s").format(
                seconds=self._seconds
            )
        except OSError as error:
            return _("the known-answer test of networks did not start: {error}").format(error=error)
        said = [*done.stdout.split("\n"), ""][0].strip()[:_MOST_CHARACTERS]
        if done.returncode == 0 or said:
            return "" if done.returncode == 0 else said
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:]
        return _("the known-answer test of networks ended with code {code}: {last}").format(
            code=done.returncode, last=" ".join(last)[:_MOST_CHARACTERS]
        )

    def _kept(self) -> str | None:
        try:
            content = json.loads(read_kept(self._file) or b"{}")
        except ValueError:
            return None
        if not isinstance(content, dict):
            return None
        if type(process := content.get("trying")) is int and not Path(f"/proc/{process}").exists():
            return _("the known-answer test of networks took its process down")
        problem = content.get("problem")
        return problem if isinstance(problem, str) else None

    def _keep(self, content: dict[str, object]) -> None:
        keep(self._file, json.dumps(content).encode())


def main(arguments: Sequence[str]) -> int:
    """Test the card; say what is wrong, if anything, in one line."""
    from kernels.cuda.device import CudaDevice
    from kernels.cuda.network.known_answers import problem_of
    from kernels.cuda.network.known_graph import CARD_SIZES

    with CudaDevice(int(arguments[0]), arguments[1]) as device:
        problem = problem_of(device.machine(), CARD_SIZES)
    print(problem)  # noqa: T201 - its parent reads it
    return int(bool(problem))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
