"""Test that a device computes right, in a process of its own, which may hang or crash.

check = check_device("cuda:0")
python -m engine.doctor.device_test cuda:0    # what that runs: prints one line of JSON, sees no key
"""

import json
import os
import signal
import subprocess
import sys
import time
from gettext import gettext as _
from typing import Any

from engine.monitor import formatting as wording
from engine.node.preflight import Check
from engine.runtime.errors import reason_of

PATIENCE_SECONDS = 180.0
_LAST_WORDS = 200


def check_device(device: str, patience: float = PATIENCE_SECONDS) -> Check:
    """Run the known-answer test in a child process and wait at most `patience` seconds."""
    environment = {name: text for name, text in os.environ.items() if name != "CPC_PASSPHRASE"}
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, and a name that was checked
            [sys.executable, "-m", "engine.doctor.device_test", device],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=patience,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        found = _("{device} gave no answer within {seconds:.0f} s")
        fix = _("Restart the machine; if it hangs again, check the driver and the card's power.")
        return Check("device", "fail", found.format(device=device, seconds=patience), fix)
    except OSError as error:
        return Check(
            "device", "fail", f"{device}: {reason_of(error)}", _("Free memory and processes.")
        )
    return _read(device, done)


def _read(device: str, done: "subprocess.CompletedProcess[str]") -> Check:
    try:
        said = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        last = " ".join(done.stderr.split())[-_LAST_WORDS:]
        ending = _describe(done.returncode)
        found = _("{device}: the test's process ended with {ending}: {last}")
        fix = _("Install again (make setup). If that does not help, report it with this line.")
        return Check("device", "fail", found.format(device=device, ending=ending, last=last), fix)
    if "error" in said:
        return Check("device", "fail", f"{device}: {said['error']}", said["advice"])
    found = _("{device} passed the known-answer test in {time} ({how})")
    time_ = wording.seconds(said["seconds"])
    return Check("device", "ok", found.format(device=device, time=time_, how=said["how"]))


def _describe(code: int) -> str:
    if code < 0:
        return _("signal {name}").format(name=signal.Signals(-code).name)
    return _("exit code {code}").format(code=code)


def main(device: str) -> dict[str, Any]:
    """Return what the child prints: seconds and tier, or error and advice."""
    from kernels.devices import open_device
    from kernels.errors import KernelError
    from kernels.known_answer import known_answer_test

    started = time.monotonic()
    try:
        with open_device(device) as opened:
            known_answer_test(opened)
            return {"seconds": time.monotonic() - started, "how": _how(opened)}
    except KernelError as error:
        return {"error": str(error), "advice": error.advice}
    except ImportError as error:
        return {"error": str(error), "advice": _("Install again: make setup")}


def _how(device: Any) -> str:
    """Return the card and its tier, or the number of CPU threads."""
    card, tier = getattr(device, "card", None), getattr(device, "tier", None)
    if card is not None and tier is not None:
        return _("{card}, tier {tier}").format(card=card.name, tier=tier.name)
    return _("threads: {count}").format(count=getattr(device, "threads", 1))


if __name__ == "__main__":
    from engine.runtime.i18n import speak

    speak()
    print(json.dumps(main(sys.argv[1])))  # noqa: T201
