"""`inference`: samples through an integer-only network, both named by content (docs/jobs.md)."""

from gettext import gettext as _
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.jobs.arrays import load_array
from engine.jobs.blobs import BlobCache, BlobRef, Blobs, MissingBlob
from engine.jobs.fields import carry, check_known, data_of, flag, named_blob, whole_number
from engine.jobs.kind import InvalidPayload, Job, JobLimits, Payload
from engine.jobs.models import digits
from engine.runtime.errors import BadInput
from kernels.commit.rows import MatrixForm
from kernels.errors import InvalidTask
from kernels.network.layers import InvalidNetwork
from kernels.network.model import Network, decode_network
from kernels.work.inference import InferenceWork

FIELDS = ("model", "input", "batch", "return_data")
MAX_BATCH = 65_536
SHOWN = 20
"""Samples that are told one by one."""


class Inference:
    """The kind `inference`."""

    name = "inference"

    def blobs(self, payload: Payload, limits: JobLimits) -> tuple[BlobRef, ...]:
        """Model and input, where they are named."""
        check_known(payload, FIELDS)
        _batch(payload)
        refs = (named_blob(payload, name, limits) for name in ("model", "input"))
        return tuple(dict.fromkeys(ref for ref in refs if ref is not None))

    def parse(self, payload: Payload, limits: JobLimits, blobs: Blobs) -> Job:
        """The work: the model is read and checked, and what it costs is reckoned."""
        check_known(payload, FIELDS)
        batch, returns_data = _batch(payload), flag(payload, "return_data", default=True)
        model, samples = (data_of(payload, name, limits, blobs) for name in ("model", "input"))
        try:
            work = InferenceWork.of(model, samples, batch, returns_data)
        except (InvalidNetwork, InvalidTask) as error:
            raise InvalidPayload(str(error)) from error
        limits.check_data(_("the output"), work.form.data_bytes)
        return work

    def explain(self, payload: Payload, data: bytes | None, blobs: Blobs) -> str:
        """Which class each sample is: "this is a 7", where the model names its classes."""
        if data is None:
            return _("the outputs of {batch} samples").format(batch=payload.get("batch", 1))
        try:
            network = decode_network(data_of(payload, "model", JobLimits(), blobs).read())
        except MissingBlob:
            return _(
                "{size} bytes of outputs; the model is not here to tell what they mean"
            ).format(size=len(data))
        classes = classify(network, decode(network, data))
        said = [_("this is a {label}").format(label=label) for label in classes[:SHOWN]]
        if len(classes) > SHOWN:
            said.append(_("... and {more} more").format(more=len(classes) - SHOWN))
        return "\n".join(said)


def build_payload(
    model: Path | str,
    image: Path | str,
    *,
    return_data: bool = True,
    blobs: BlobCache | None = None,
) -> dict[str, Any]:
    """A payload from a model file and a .npy file of one image or many; `blobs` takes both, if given.

    `model` may be "digits", our own, and `image` "digits:N", the N-th of its test images. A .npy file
    holds int8, as the network takes it, or the model's own pixels, unsigned. Raises BadInput.
    """
    content = digits.model_bytes() if model == digits.NAME else _read_model(Path(model))
    try:
        network = decode_network(content)
    except InvalidNetwork as error:
        raise BadInput(
            _("{model} is no network: {error}").format(model=model, error=error)
        ) from error
    samples = _load_samples(network, image)
    model_field, input_field = (
        carry(part) if blobs is None else blobs.put(part).to_json()
        for part in (content, samples.tobytes())
    )
    return {
        "challenge_type": Inference.name,
        "model": model_field,
        "input": input_field,
        "batch": len(samples),
        "return_data": return_data,
    }


def decode(network: Network, data: bytes) -> npt.NDArray[np.int32]:
    """The outputs, a row a sample, from a result's data."""
    rows = len(data) // (network.columns * network.entry_bytes)
    return MatrixForm(rows, network.columns, network.entry_bytes).entries(data).astype(np.int32)


def classify(network: Network, outputs: npt.NDArray[np.int32]) -> list[str]:
    """The class of each sample, by its label where the model has labels."""
    best = outputs[:, 0] if network.entry_bytes == 4 else outputs.argmax(axis=1)
    labels = network.about.get("labels")
    known = labels if isinstance(labels, list) else []
    return [str(known[i])[:60] if i < len(known) else str(i) for i in best.tolist()]


def _load_samples(network: Network, image: Path | str) -> npt.NDArray[np.int8]:
    name, _colon, number = str(image).partition(":")
    pixels: npt.NDArray[np.integer]
    if name == digits.NAME and number:
        pixels = digits.test_image(number)[np.newaxis]
    else:
        pixels = _load_images(network, Path(image))
    if pixels.shape[1:] != network.input_shape:
        raise BadInput(
            _("{image} holds images of {got}, and the model takes {wanted}").format(
                image=image, got=pixels.shape[1:], wanted=network.input_shape
            )
        )
    if pixels.dtype == np.int8:
        return pixels.astype(np.int8, copy=False)
    return quantise_pixels(network, pixels)


def _load_images(network: Network, path: Path) -> npt.NDArray[np.integer]:
    """One image or many, with or without the axis of a single channel."""
    array = load_array(path)
    shape = network.input_shape
    for whole in (shape, shape[:-1] if shape[-1] == 1 else shape):
        if array.shape == whole:
            return array.reshape(1, *shape)
        if array.shape[1:] == whole:
            return array.reshape(-1, *shape)
    return array


def quantise_pixels(network: Network, pixels: npt.NDArray[np.integer]) -> npt.NDArray[np.int8]:
    """int8 from the model's own pixels: times * pixel + plus, as the model says."""
    said = network.about.get("pixels")
    if not isinstance(said, dict) or any(
        type(said.get(name)) is not int or abs(said[name]) > 1 << 16
        for name in ("most", "times", "plus")
    ):
        raise BadInput(
            _("the model does not say how pixels become its int8 input: give it int8 itself")
        )
    if pixels.min() < 0 or pixels.max() > said["most"]:
        raise BadInput(
            _("the model's pixels are whole numbers from 0 to {most}").format(most=said["most"])
        )
    scaled = pixels.astype(np.int64) * said["times"] + said["plus"]
    if scaled.min() < -128 or scaled.max() > 127:
        raise BadInput(_("the model's own rule takes these pixels beyond int8"))
    return np.asarray(scaled, np.int8)


def _read_model(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(
            _("the model {path} cannot be read: {error}").format(path=path, error=error.strerror),
            advice=_(
                'Name a model file, or "{name}" for the one that comes with this program.'
            ).format(name=digits.NAME),
        ) from error


def _batch(payload: Payload) -> int:
    return whole_number(payload, "batch", most=MAX_BATCH, allowed=MAX_BATCH, default=1)


KIND = Inference()
