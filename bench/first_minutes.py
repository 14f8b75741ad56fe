"""A new user's first minutes, with only the README: how long, and how long without a sign of life.

    python -m bench.first_minutes [--source DIRECTORY]

Clones the repository into a directory of its own, with an empty HOME, and runs what README.md and the
tutorial name, in a terminal whose output is timed: `make mine`, a devnet, `init`, `tx send`, `doctor`,
`mine` until a result is final, and `verify` of it. Prints the seconds of each step and its longest
silence. Packages come from wherever pip finds them, so the first step depends on the network.
"""

import argparse
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

LONGEST_STEP = 600.0
AIM_SECONDS, AIM_SILENCE = 180.0, 5.0


@dataclass(frozen=True, slots=True)
class Step:
    """What a command took, and how long it showed nothing."""

    name: str
    seconds: float
    silence: float


class Newcomer:
    """A shell in a clone, with a HOME of its own."""

    def __init__(self, clone: Path, home: Path) -> None:
        self._clone = clone
        self._environment = {
            "PATH": f"{clone}/.venv/bin:{os.environ['PATH']}",
            "HOME": str(home),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
        }
        self.steps: list[Step] = []

    def run(self, line: str, until: Callable[[str], bool] = lambda _text: False) -> str:
        """Run a line to its end, or press Ctrl-C once its output is `until`; return the output."""
        began = last = time.monotonic()
        silence, text, pressed = 0.0, "", False
        with self._started(line) as (process, terminal):
            while True:
                readable, _, _ = select.select([terminal], [], [], 0.1)
                now = time.monotonic()
                if now - began > LONGEST_STEP:
                    raise SystemExit(f"{line} took more than {LONGEST_STEP:.0f} s:\n{text}")
                if readable:
                    try:
                        text += os.read(terminal, 65536).decode(errors="replace")
                    except OSError:  # the other end is closed
                        break
                    silence, last = max(silence, now - last), now
                if not pressed and until(text):
                    os.write(terminal, b"\x03")
                    pressed = True
            code = process.wait()
        silence = max(silence, time.monotonic() - last)
        self.steps.append(step := Step(line, time.monotonic() - began, silence))
        print(f"{step.seconds:7.1f} s  silent {step.silence:5.1f} s  {step.name}", flush=True)
        if code and not pressed:
            raise SystemExit(f"{line} ended with {code}:\n{text}")
        return text

    @contextlib.contextmanager
    def beside(self, line: str, until: str) -> Iterator[None]:
        """Leave a line running in another terminal, from when it shows `until`."""
        with self._started(line) as (_process, terminal):
            text = ""
            while until not in text:
                text += os.read(terminal, 65536).decode(errors="replace")
            yield

    @contextlib.contextmanager
    def _started(self, line: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        master, slave = pty.openpty()
        process = subprocess.Popen(
            line,
            shell=True,
            cwd=self._clone,
            env=self._environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=_own_terminal,
        )
        os.close(slave)
        try:
            yield process, master
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # it leads its session: see _own_terminal
            process.wait()
            os.close(master)


def _own_terminal() -> None:
    """Make the terminal this process's, so that Ctrl-C reaches it."""
    os.setsid()
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def first_minutes(source: Path, place: Path) -> list[Step]:
    """Go the whole way; return its steps. Ends the program where a step fails."""
    clone, home = place / "cpc-engine", place / "home"
    home.mkdir()
    git = ["git", "clone", "--quiet", str(source), str(clone)]
    subprocess.run(git, check=True)
    user = Newcomer(clone, home)
    user.run("make mine")
    with user.beside("cpc-engine devnet --block-time 1", "http://127.0.0.1:8000"):
        user.run("cpc-engine init --yes")
        keys = user.run("cpc-engine keys show worker")
        found = re.search(r"cpc1[a-z0-9]+", keys)
        assert found is not None
        user.run(f"cpc-engine tx send {found[0]} 100 --from faucet --wait 30")
        user.run("cpc-engine doctor")
        shown = user.run("cpc-engine mine --plain", lambda text: ": final, in block" in text)
        height = re.findall(r"block ([0-9]+)", shown)[0]
        user.run(f"cpc-engine verify --height {height}")
    return user.steps


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=Path(__file__).parent.parent)
    with tempfile.TemporaryDirectory(prefix="cpc-engine-newcomer-") as place:
        steps = first_minutes(parser.parse_args().source, Path(place))
    seconds, silence = sum(step.seconds for step in steps), max(step.silence for step in steps)
    print(f"{seconds:7.1f} s in all, aim {AIM_SECONDS:.0f}")
    print(f"{silence:7.1f} s the longest silence, aim {AIM_SILENCE:.0f}")
    sys.exit(seconds > AIM_SECONDS or silence > AIM_SILENCE)


if __name__ == "__main__":
    main()
