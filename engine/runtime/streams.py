"""The three standard streams, whoever started this program without them (`>&-`, some supervisors).

A file opened later would get the number of a closed stream, and what is printed would be written into
it: into the ledger, say. So /dev/null takes each missing place first.
"""

import os
import sys


def open_standard_streams() -> None:
    """Open what is missing of the three on /dev/null. Call it before any file is opened."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: those below are open by now
            os.set_inheritable(descriptor, True)
        if getattr(sys, name) is None:
            stream = os.fdopen(descriptor, mode, encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
