"""Reading a file of the user's whole, which may be /dev/zero."""

import errno
import os
from pathlib import Path

SMALL_BYTES = 64 << 10
"""Of a token, an address, a secret."""
LARGE_BYTES = 1 << 30
"""Of a model, a matrix, a result."""


def read_bounded(path: Path, most: int = LARGE_BYTES) -> bytes:
    """Return a file's bytes. Raise OSError, with EFBIG for a file of more than `most` bytes."""
    with path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return content
