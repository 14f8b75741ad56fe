"""Every error of this wing, as one tree.

    KernelError
    ├── InvalidTask          a seed, a size, operands or other input that the rules exclude
    ├── InvalidNetwork       a file that is not a network, or one that cannot be computed exactly
    │   ├── Unsupported      a node of a model file that is not known here
    │   └── NotImportable    a model file with such nodes
    ├── TaskTooLarge         a task that does not fit into this machine's memory
    ├── InvalidProof         malformed: nothing was computed
    ├── WrongResult          well formed, but not what the seed gives
    ├── DeviceUnavailable    the device is not on this machine, or cannot be used
    └── DeviceFault          the device failed while it worked

`advice` says what a person can do about the error; it may be empty.
"""

from collections.abc import Sequence
from gettext import gettext as _
from gettext import ngettext


class KernelError(Exception):
    """Root of the tree. `str()` is one sentence, and `advice` is what to do about it."""

    advice: str = ""

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        if advice is not None:
            self.advice = advice


class InvalidTask(KernelError):
    """A seed, a size, operands or other input that the rules exclude; nothing was computed."""

    advice = _("Correct what the message names.")


class InvalidNetwork(KernelError):
    """A file that is not a network, or a network that cannot be computed exactly."""

    advice = _("Export the network again; docs/jobs.md describes the format.")


class Unsupported(InvalidNetwork):
    """A node of a model file that cannot be imported; the message says why."""


class NotImportable(InvalidNetwork):
    """A sound model file with nodes that this program cannot compute: `obstacles`, a line each."""

    SHOWN = 50

    def __init__(self, obstacles: Sequence[object]) -> None:
        lines = [str(one) for one in obstacles[: self.SHOWN]]
        if len(obstacles) > self.SHOWN:
            lines.append(_("... and {more} more").format(more=len(obstacles) - self.SHOWN))
        super().__init__(
            ngettext(
                "{count} node cannot be imported:",
                "{count} nodes cannot be imported:",
                len(obstacles),
            ).format(count=len(obstacles))
            + "".join(f"\n  {line}" for line in lines),
            advice=_("Quantise the model to int8 throughout; docs/jobs.md lists the operators."),
        )
        self.obstacles = tuple(obstacles)


class TaskTooLarge(KernelError):
    """The task would not fit into memory; nothing was allocated."""

    advice = _("Take a smaller matrix size, or free memory.")


class InvalidProof(KernelError):
    """Malformed: alphabet, header, length, or how many leaves it opens. Nothing was computed."""

    advice = _("Get the proof again: it was changed on its way, or it is for another task.")


class WrongResult(KernelError):
    """Well formed, but the seed gives another result."""

    advice = _("Do not use this result, nor others of the device that computed it.")


class DeviceUnavailable(KernelError):
    """The device is not on this machine, or this version cannot use it."""

    advice = _("cpc-engine doctor shows which devices can be used, and why others cannot.")


class DeviceFault(KernelError):
    """The device failed while it worked; `sticky`: its process must end (the CUDA context is lost)."""

    advice = _("Check the device: driver, clocks, temperature and memory errors.")

    def __init__(self, message: str, *, sticky: bool = False, advice: str | None = None) -> None:
        super().__init__(message, advice=advice)
        self.sticky = sticky
