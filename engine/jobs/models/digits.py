"""The model `digits` and its test images: handwritten digits, 8 x 8 pixels of 0 to 16.

The images are scikit-learn's copy of the UCI repository's "Optical Recognition of Handwritten Digits"
(E. Alpaydin and C. Kaynak, 1998; CC BY 4.0). `tests/engine/jobs/train_digits.py` trained the model on
1,437 of them; the other 360, which it never saw, are here as test images.
"""

from functools import cache
from gettext import gettext as _
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from engine.runtime.errors import BadInput

NAME = "digits"
MODEL_FILE = "digits.safetensors"
TEST_FILE = "digits_test.npz"
_HERE = files(__package__)


def model_bytes() -> bytes:
    """Return the model's file."""
    return _HERE.joinpath(MODEL_FILE).read_bytes()


@cache
def test_set() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Return the images, 360 x 8 x 8 x 1 of 0 to 16, and their digits."""
    with _HERE.joinpath(TEST_FILE).open("rb") as file, np.load(file, allow_pickle=False) as kept:
        return kept["images"][..., np.newaxis], kept["labels"]


def test_image(number: str) -> npt.NDArray[np.uint8]:
    """Return a test image, 8 x 8 x 1, by its number as text. Raise BadInput."""
    images, _labels = test_set()
    if not number.isascii() or not number.isdigit() or int(number[:9]) >= len(images):
        message = _("there is no test image {number}: they are {name}:0 to {name}:{last}")
        raise BadInput(message.format(number=repr(number[:20]), name=NAME, last=len(images) - 1))
    image: npt.NDArray[np.uint8] = images[int(number)]
    return image
