"""`inference`: samples through an integer-only network (docs/jobs.md)."""

from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.jobs import pictures
from engine.jobs.arrays import check_array, load_array
from engine.jobs.blobs import BlobCache, BlobRef, Blobs, MissingBlob
from engine.jobs.fields import carry, check_known, data_of, flag, named_blobs, whole_number
from engine.jobs.kind import InvalidPayload, JobLimits, JobWork, Payload
from engine.jobs.models import digits
from engine.runtime.bounded_file import read_bounded
from engine.runtime.errors import BadInput
from kernels.commit.rows import MatrixForm
from kernels.errors import InvalidNetwork, InvalidTask
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import layer_columns
from kernels.network.graph.stream import states_of
from kernels.network.model import Network, decode_network
from kernels.work.inference import InferenceWork

FIELDS = ("model", "input", "state", "batch", "layers", "return_data")
MAX_BATCH = 65_536
SHOWN = 20
"""Samples that are explained one by one."""


class Inference:
    """The kind `inference`."""

    name = "inference"

    def blobs(self, payload: Payload, limits: JobLimits) -> tuple[BlobRef, ...]:
        """Return model and input, if they are named."""
        check_known(payload, FIELDS)
        _batch(payload)
        return named_blobs(payload, ("model", "input", *_state(payload)), limits)

    def parse(self, payload: Payload, limits: JobLimits, blobs: Blobs) -> JobWork:
        """Return the work, after reading and checking the model and estimating the cost."""
        check_known(payload, FIELDS)
        batch, returns_data = _batch(payload), flag(payload, "return_data", default=True)
        layers = flag(payload, "layers", default=False)
        model, samples, *state = (
            data_of(payload, name, limits, blobs) for name in ("model", "input", *_state(payload))
        )
        try:
            work = InferenceWork.of(model, samples, batch, returns_data, layers, *state)
        except (InvalidNetwork, InvalidTask) as error:
            raise InvalidPayload(str(error)) from error
        limits.check_data(_("the output"), work.form.data_bytes)
        return work

    def explain(self, payload: Payload, data: bytes | None, blobs: Blobs) -> str:
        """Return the class of each sample, by name where the model has names: "this is a 7"."""
        if data is None:
            return ngettext(
                "the output of {batch} sample",
                "the outputs of {batch} samples",
                payload.get("batch", 1),
            ).format(batch=payload.get("batch", 1))
        try:
            network = decode_network(model_of(payload, blobs))
        except MissingBlob:
            return ngettext(
                "{size} byte of outputs; the model that explains it is not here",
                "{size} bytes of outputs; the model that explains them is not here",
                len(data),
            ).format(size=len(data))
        outputs = decode(network, data, _rows_with_layers(payload))
        if outputs.shape[1] == 1 and network.entry_bytes == 1:  # one score, and no classes
            said = [_("the output is {value}").format(value=one) for one in outputs[:SHOWN, 0]]
        else:
            classes = classify(network, outputs[:SHOWN])
            said = [_("this is a {label}").format(label=label) for label in classes]
        if len(outputs) > SHOWN:
            said.append(_("... and {more} more").format(more=len(outputs) - SHOWN))
        return "\n".join(said)


def build_payload(
    model: Path | str,
    image: npt.NDArray[np.integer] | Path | str,
    *,
    return_data: bool = True,
    layers: bool = False,
    state: bytes | None = None,
    blobs: BlobCache | None = None,
) -> dict[str, Any]:
    """Return a payload from a model file and a .npy file of images, stored in `blobs` if given.

    `model` may be "digits", the built-in one, and `image` "digits:N", its N-th test image, or an array.
    A .npy file holds int8, the network's input, or the model's own pixels, unsigned. A picture is cut
    to its middle, and made as large as the model takes it. `state`: what
    `state_after` gives of an earlier result, whose stream goes on. Raise BadInput.
    """
    content = model_bytes(model)
    try:
        network = decode_network(content)
    except InvalidNetwork as error:
        raise BadInput(
            _("{model} is not a valid network: {error}").format(model=model, error=error)
        ) from error
    samples = load_samples(network, image)
    data = {"model": content, "input": samples.tobytes()}
    data |= {} if state is None else {"state": state}
    return {
        "challenge_type": Inference.name,
        **{
            name: carry(part) if blobs is None else blobs.put(part).to_json()
            for name, part in data.items()
        },
        "batch": len(samples),
        "return_data": return_data,
    } | ({"layers": True} if layers else {})


def state_after(model: Path | str, output: bytes, *, layers: bool = False) -> bytes:
    """Return the states after the last sample of a result, of a task with or without `layers`.

    Raise BadInput.
    """
    network = decode_network(model_bytes(model))
    if not isinstance(network, Graph) or not network.states:
        raise BadInput(_("{model} keeps no state between samples").format(model=model))
    columns = network.columns + (layer_columns(network) if layers else 0)
    form = MatrixForm(1, columns, 4 if layers else network.entry_bytes)
    if len(output) == 0 or len(output) % form.data_bytes:
        raise BadInput(_("the state is not from a result of this model"))
    return states_of(network, form.entries(output[-form.data_bytes :])).tobytes()


def model_of(payload: Payload, blobs: Blobs) -> bytes:
    """Return the payload's model file. Raise MissingBlob, JobRefused."""
    return data_of(payload, "model", JobLimits(), blobs).read()


def outputs_of(payload: Payload, data: bytes, blobs: Blobs) -> npt.NDArray[np.int32]:
    """Return the outputs, one row per sample, of a result. Raise MissingBlob, JobRefused."""
    network = decode_network(model_of(payload, blobs))
    return decode(network, data, _rows_with_layers(payload))


def decode(
    network: Network | Graph, data: bytes, batch: int | None = None
) -> npt.NDArray[np.int32]:
    """Return the outputs, one row per sample, from a result's data.

    The states after a sample are left out. With a `batch`, each of its rows goes on with the sums of
    the layers, all int32, which are left out, too.
    """
    columns = network.columns - (network.state_entries if isinstance(network, Graph) else 0)
    if batch is not None:
        whole = np.frombuffer(data, "<i4").reshape(batch, -1)
        return whole[:, :columns].astype(np.int32)
    rows = len(data) // (network.columns * network.entry_bytes)
    form = MatrixForm(rows, network.columns, network.entry_bytes)
    return form.entries(data)[:, :columns].astype(np.int32)


def classify(network: Network | Graph, outputs: npt.NDArray[np.int32]) -> list[str]:
    """Return the class of each sample, by its label where the model has labels."""
    best = outputs[:, 0] if network.entry_bytes == 4 else outputs.argmax(axis=1)
    labels = network.about.get("labels")
    known = labels if isinstance(labels, list) else []
    return [str(known[i])[:60] if i < len(known) else str(i) for i in best.tolist()]


def load_samples(
    network: Network | Graph, image: npt.NDArray[np.integer] | Path | str
) -> npt.NDArray[np.int8]:
    """Return the samples in a .npy file or array, as they are posted, of a picture, or of "digits:N".

    Raise BadInput.
    """
    pixels: npt.NDArray[np.integer]
    name, number = "", ""
    if not isinstance(image, np.ndarray):
        name, _colon, number = str(image).partition(":")
    if isinstance(image, np.ndarray):
        pixels = _shaped(network, check_array(image, _("the input")))
    elif name == digits.NAME and number:
        pixels = digits.test_image(number)[np.newaxis]
    elif Path(image).suffix.lower() in pictures.ENDINGS:
        pixels = pictures.load_picture(Path(image), network.input_shape)
    else:
        pixels = _shaped(network, load_array(Path(image)))
    if pixels.shape[1:] != network.input_shape:
        raise BadInput(
            _("{image} holds images of {got}, and the model takes {wanted}").format(
                image=_("the input") if isinstance(image, np.ndarray) else image,
                got=pixels.shape[1:],
                wanted=network.input_shape,
            )
        )
    if pixels.dtype == np.int8:
        return pixels.astype(np.int8, copy=False)
    return quantise_pixels(network, pixels)


def _shaped(network: Network | Graph, array: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return N x H x W x C from one image or many, with or without the channel axis."""
    shape = network.input_shape
    for whole in (shape, shape[:-1] if shape[-1] == 1 else shape):
        if array.shape == whole:
            return array.reshape(1, *shape)
        if array.shape[1:] == whole:
            return array.reshape(-1, *shape)
    return array


def quantise_pixels(
    network: Network | Graph, pixels: npt.NDArray[np.integer]
) -> npt.NDArray[np.int8]:
    """Return int8 from the model's own pixels: times * pixel + plus, as the model defines."""
    said = network.about.get("pixels")
    if not isinstance(said, dict) or any(
        type(said.get(name)) is not int or abs(said[name]) > 1 << 16
        for name in ("most", "times", "plus")
    ):
        raise BadInput(_("the model does not define how pixels become its int8 input: give int8"))
    if pixels.min() < 0 or pixels.max() > said["most"]:
        raise BadInput(
            _("the model's pixels are whole numbers from 0 to {most}").format(most=said["most"])
        )
    scaled = pixels.astype(np.int64) * said["times"] + said["plus"]
    if scaled.min() < -128 or scaled.max() > 127:
        raise BadInput(_("by the model's own rule these pixels do not fit int8"))
    return np.asarray(scaled, np.int8)


def model_bytes(model: Path | str) -> bytes:
    """Return a model's file; "digits" is the built-in one. Raise BadInput."""
    if str(model) == digits.NAME:
        return digits.model_bytes()
    path = Path(model)
    try:
        return read_bounded(path)
    except OSError as error:
        raise BadInput(
            _("the model {path} cannot be read: {error}").format(path=path, error=error.strerror),
            advice=_(
                'Name a model file, or "{name}" for the one that comes with this program.'
            ).format(name=digits.NAME),
        ) from error


def _rows_with_layers(payload: Payload) -> int | None:
    """Return the number of rows where they hold the layers' sums, too."""
    return _batch(payload) if flag(payload, "layers", default=False) else None


def _state(payload: Payload) -> tuple[str, ...]:
    return ("state",) if "state" in payload else ()


def _batch(payload: Payload) -> int:
    return whole_number(payload, "batch", most=MAX_BATCH, allowed=MAX_BATCH, default=1)


KIND = Inference()
