"""Every error of this wing, as one tree.

    KernelError
    ├── InvalidTask          a seed, a size or a number of iterations that the rules exclude
    ├── TaskTooLarge         a task that does not fit into this machine's memory
    ├── InvalidProof         malformed: nothing was computed
    ├── WrongResult          well formed, and not what the seed gives
    ├── DeviceUnavailable    no such device here
    └── DeviceFault          the device failed while it worked

`advice` says what a person can do about the error; it may be empty.
"""

from gettext import gettext as _


class KernelError(Exception):
    """Root of the tree. `str()` is one sentence, and `advice` is what to do about it."""

    advice: str = ""

    def __init__(self, message: str, *, advice: str | None = None) -> None:
        super().__init__(message)
        if advice is not None:
            self.advice = advice


class InvalidTask(KernelError):
    """A seed, a size or a number of iterations that the rules exclude."""


class TaskTooLarge(KernelError):
    """The task would not fit into memory; nothing was allocated."""

    advice = _("Take a smaller matrix size, or free memory.")


class InvalidProof(KernelError):
    """Malformed: alphabet, header, length, or how many leaves it opens. Nothing was computed."""


class WrongResult(KernelError):
    """Well formed, but the seed gives another result."""


class DeviceUnavailable(KernelError):
    """The device is not on this machine, or this version cannot use it."""


class DeviceFault(KernelError):
    """The device failed while it worked; `sticky` when its process must end (a poisoned context)."""

    def __init__(self, message: str, *, sticky: bool = False, advice: str | None = None) -> None:
        super().__init__(message, advice=advice)
        self.sticky = sticky
