"""Pictures of the user's own as a model's pixels. Data from the network never comes this way."""

from gettext import gettext as _
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.runtime.errors import BadInput, reason_of

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MODES = {1: "L", 3: "RGB"}


def load_picture(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Return 1 x height x width x channels, 0 to 255, of a picture: its middle, made that large.

    Raise BadInput for a model that takes no picture, or a file that is none.
    """
    if len(shape) != 3 or shape[2] not in MODES:
        raise BadInput(_("the model takes no pictures: give it a .npy file"))
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise BadInput(
            _("pictures cannot be read: the package pillow is not installed"),
            advice=_("Install it: pip install pillow"),
        ) from error
    height, width, channels = shape
    try:
        with Image.open(path) as picture:
            whole = picture.convert(MODES[channels])
    except FileNotFoundError as error:
        raise BadInput(_("there is no file {path}").format(path=path)) from error
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise BadInput(
            _("{path} is not a picture: {error}").format(path=path, error=reason_of(error)[:80])
        ) from error
    scale = min(whole.width / width, whole.height / height)
    left, top = (whole.width - width * scale) / 2, (whole.height - height * scale) / 2
    middle = (left, top, left + width * scale, top + height * scale)
    small = whole.resize((width, height), Image.Resampling.BILINEAR, box=middle)
    return np.asarray(small, np.uint8).reshape(1, height, width, channels)
