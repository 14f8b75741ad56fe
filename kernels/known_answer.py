"""The known-answer test: does this device compute right? It takes milliseconds, before any work.

Tasks and roots are the specification's own vectors: one entry, sizes around a leaf's 256, sizes
that no block divides, k in one block of a kernel and in two, and up to 5 iterations.
"""

from gettext import gettext as _
from gettext import ngettext

from kernels.check import opened_digests
from kernels.commit.tree import root_from_leaves
from kernels.device import Device
from kernels.errors import WrongResult
from kernels.operations import Operations
from kernels.task import Task

ANSWERS = {
    Task(bytes.fromhex("3f37c90b2c5c0a95dba3cf7cb60a08774c97008d5b03b3cff61247635fb410d0"), 1, 1): (
        "12de182658d6a42b536c4834f12fbcb6e1e8336de981b3edce3488a2d6c4572e"
    ),
    Task(
        bytes.fromhex("935cb74c1dd161a425d48c48326f093f7e3945de2016ca84c1ee66c25d64dc7f"), 17, 2
    ): ("9ace420b70e5c1fadd9f390790090cfcf9de539862419f97c7e323bb62b2884c"),
    Task(
        bytes.fromhex("8ac3727ed7d088d5e3771a2c021ebfe868de11d22b9bea79e192c6ec7bb84b99"), 257, 2
    ): ("4232fc50ace270f93499e07a864e6a74ec8cd474cce4f5dac30cc67564b610db"),
    Task(
        bytes.fromhex("4ed36123695353285a76a4d0f35daf424d9ddbaa6b75beb6090d6548155723ad"), 300, 5
    ): ("561a436156212efe7ef7fa64e9bdcc3f5b1d8a0bb9b651250ebb885b113c916a"),
    Task(
        bytes.fromhex("d07b7abf5ec8da864148df3097a201d40f528448cc9a162760da4b4f5a544cb9"), 1000, 2
    ): ("13c9e1ead10df3678fbc62ad6d20253ed89dbba82e8b6f9be2967e3164fc7b0e"),
}
"""Root of each task."""


def known_answer_test_of_checks(operations: Operations) -> None:
    """Raise WrongResult unless these operations, which check others' work, give every root."""
    for task, root in ANSWERS.items():
        digests = opened_digests(task, range(task.leaf_count), operations)
        if root_from_leaves(task.leaf_count, digests, b"") != bytes.fromhex(root):
            raise WrongResult(
                _("the checks' operations fail the known-answer test at size {n}").format(n=task.n)
            )


def known_answer_test(device: Device) -> None:
    """Raise WrongResult unless the device gives every root."""
    for task, root in ANSWERS.items():
        if device.compute(task).root != bytes.fromhex(root):
            raise WrongResult(
                ngettext(
                    "device {name} fails the known-answer test at size {n} with "
                    "{iterations} iteration",
                    "device {name} fails the known-answer test at size {n} with "
                    "{iterations} iterations",
                    task.iterations,
                ).format(name=device.name, n=task.n, iterations=task.iterations),
                advice=_("Do not mine with it: check its driver, its clocks and its memory."),
            )
