"""Variables of Numba's own (NUMBA_*): those that it cannot work with are told by name.

Checked before Numba is imported, since it ends the import, or the process, at some of them. What
changes the code that it makes is part of the key of kept kernels (`cpu/jit.py`).
"""

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from gettext import gettext as _

from kernels.errors import DeviceUnavailable

_UNREAD = r"Environment variable '(NUMBA_\w+)' is defined"
_FEATURE = re.compile(r"[+-][^,\s]+")


@contextmanager
def explained() -> Iterator[None]:
    """Raise DeviceUnavailable for a variable that keeps Numba from working; import it in the body."""
    off = os.environ.get("NUMBA_DISABLE_JIT", "").strip()
    if off.lstrip("0").isdigit():
        raise _unusable("NUMBA_DISABLE_JIT", _("it switches the compiler off"))
    features = os.environ.get("NUMBA_CPU_FEATURES", "").strip()
    if any(not _FEATURE.fullmatch(one.strip()) for one in features.split(",") if features):
        reason = _("each feature begins with + or -, as in +avx2,-avx512f")
        raise _unusable("NUMBA_CPU_FEATURES", reason)
    try:
        with warnings.catch_warnings():  # Numba's own words have a traceback in them
            warnings.filterwarnings("error", _UNREAD, RuntimeWarning)
            yield
    except RuntimeWarning as warning:
        if (name := re.match(_UNREAD, str(warning))) is None:
            raise
        raise _unusable(name[1], _("Numba cannot read its value")) from None
    except Exception as error:
        found = sorted(name for name in os.environ if name.startswith("NUMBA_"))
        if not found or isinstance(error, DeviceUnavailable):
            raise
        raise _unusable(", ".join(found), " ".join(str(error).split())[:200]) from error


def _unusable(names: str, reason: str) -> DeviceUnavailable:
    return DeviceUnavailable(
        _("Numba does not work with {names} as it is set: {reason}").format(
            names=names, reason=reason
        ),
        advice=_("Unset it: unset {names}").format(names=names.replace(",", "")),
    )
