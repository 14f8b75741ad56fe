"""Arrays from a person's own .npy files. Nothing of this kind ever comes over the wire."""

from gettext import gettext as _
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.errors import BadInput


def load_array(path: Path, dtype: npt.DTypeLike, dimensions: int) -> npt.NDArray[np.integer]:
    """A whole array of that type, C-ordered. Raises BadInput; never unpickles anything."""
    wanted = np.dtype(dtype)
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise BadInput(_("there is no file {path}").format(path=path)) from error
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(
            _("{path} is no .npy file of numbers: {error}").format(path=path, error=error),
            advice=_("Write it with numpy.save(path, array)."),
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim != dimensions or 0 in array.shape:
        raise BadInput(
            _("{path} must hold one array of {dimensions} dimensions, not empty").format(
                path=path, dimensions=dimensions
            )
        )
    if array.dtype.kind not in "iu" or not np.can_cast(array.dtype, wanted):
        low, high = np.iinfo(wanted).min, np.iinfo(wanted).max
        if array.dtype.kind not in "iu" or array.min() < low or array.max() > high:
            raise BadInput(
                _("{path} must hold whole numbers from {low} to {high}").format(
                    path=path, low=low, high=high
                )
            )
    return np.ascontiguousarray(array, wanted)
