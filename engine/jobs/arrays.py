"""Read arrays from the user's own .npy files. Data from the network never comes this way."""

from gettext import gettext as _
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.runtime.errors import BadInput, reason_of


def load_array(path: Path) -> npt.NDArray[np.integer]:
    """Return a non-empty array of integers. Raise BadInput. Nothing is unpickled."""
    try:
        array = np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise BadInput(_("there is no file {path}").format(path=path)) from error
    except (OSError, ValueError, EOFError) as error:
        message = _("{path} is not a .npy file of numbers: {error}").format(
            path=path, error=reason_of(error)
        )
        raise BadInput(message, advice=_("Write it with numpy.save(path, array).")) from error
    return check_array(array, str(path))


def check_array(array: object, what: str) -> npt.NDArray[np.integer]:
    """Return a non-empty array of integers. Raise BadInput."""
    if not isinstance(array, np.ndarray) or array.size == 0 or array.dtype.kind not in "iu":
        raise BadInput(
            _("{path} must hold one array of whole numbers, not empty").format(path=what)
        )
    return np.ascontiguousarray(array)


def load_matrix(path: Path) -> npt.NDArray[np.int8]:
    """Return an int8 matrix from a file of any integer type. Raise BadInput."""
    array = load_array(path)
    if array.ndim != 2:
        message = _("{path} is not a matrix, of 2 dimensions: it has {dimensions}")
        raise BadInput(message.format(path=path, dimensions=array.ndim))
    if array.min() < -128 or array.max() > 127:
        raise BadInput(_("{path} must hold whole numbers from -128 to 127").format(path=path))
    return array.astype(np.int8)
