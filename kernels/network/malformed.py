"""What a damaged model file may raise while it is read or converted, and the sentence for it."""

import struct
from collections.abc import Callable
from gettext import gettext as _

from kernels.errors import InvalidNetwork

MALFORMED = (
    struct.error, ValueError, IndexError, TypeError, OverflowError, AttributeError, KeyError,
    UnicodeError, MemoryError, AssertionError,
)  # fmt: skip


def why_not(step: Callable[[], object]) -> str | None:
    """Do a step of an import; return why it cannot be done, None where it was."""
    try:
        step()
    except InvalidNetwork as error:
        return str(error)
    except MALFORMED:
        return _("its tensors or options do not fit one another")
    return None
