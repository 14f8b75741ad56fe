"""A float ONNX file of the user's made a graph of integers, and its error on the samples."""

import os
import zipfile
from gettext import gettext as _
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.jobs.models.files import read_file
from engine.runtime.errors import BadInput, reason_of
from kernels.errors import InvalidNetwork
from kernels.network.onnx.importer import Imported
from kernels.network.onnx.quantise import Report, quantise_onnx, report, rows_of

LABELS = "labels"
MOST_REPORTED = 256
"""Samples that the report computes with both models."""


def quantise_file(path: Path, data: Path, percentile: float) -> tuple[Imported, Report]:
    """Return a float ONNX file quantised by the samples in a .npz file. Raise BadInput."""
    from kernels.devices import open_device
    from kernels.network.fast import forward

    arrays = read_arrays(data)
    content = read_file(path)
    try:
        imported, samples = quantise_onnx(content, arrays, path.stem[:60], percentile)
    except InvalidNetwork as error:
        raise BadInput(
            _("{path} cannot be quantised: {error}").format(path=path, error=error),
            advice=error.advice,
        ) from error
    labels = arrays.get(LABELS)
    if labels is not None and labels.shape[:1] != (len(samples),):
        raise BadInput(_("{data} has not a label for each sample").format(data=data))
    some = samples[:MOST_REPORTED]
    with open_device("cpu", threads=os.cpu_count() or 1) as device:
        rows = forward(imported.graph, rows_of(imported, some), device)
    return imported, report(imported, rows, some, None if labels is None else labels[: len(some)])


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a .npz file. Raise BadInput."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except FileNotFoundError as error:
        raise BadInput(_("there is no file {path}").format(path=path)) from error
    except (OSError, ValueError, AttributeError, zipfile.BadZipFile) as error:
        raise BadInput(
            _("{path} is not a .npz file of arrays: {error}").format(
                path=path, error=reason_of(error)[:80]
            ),
            advice=_("Make it with numpy.savez(FILE, NAME=ARRAY), a NAME for each input."),
        ) from error
