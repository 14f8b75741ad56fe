"""A customer's side of a task market, for programs: post, wait, get the result and its receipt.

    from engine.client import Market

    market = Market("http://localhost:8080", token_file="alice.token")
    task = market.infer("digits", "digits:17")
    print(task.result(seconds=60), task.labels())   # numpy, checked against the receipt
    task.save_receipt("receipt.json")

Everything waits in the calling thread. Errors are of `engine.runtime.errors`: BadInput, WrongClaim (the
market's result or receipt is wrong), TaskFailed; and MarketError where the market does not answer.
"""

import hashlib
import time
from gettext import gettext as _
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.jobs import inference, matmul
from engine.jobs.blobs import BlobCache, BlobRef
from engine.receipts.document import Receipt, faults_of, read_receipt
from engine.receipts.verification import Files, differences
from engine.runtime.bounded_file import SMALL_BYTES, read_bounded
from engine.runtime.errors import BadInput, EngineError, WrongClaim, reason_of
from engine.runtime.paths import state_directory
from engine.validator.http.client import MarketClient
from kernels.network.model import decode_network

POLL_SECONDS = 0.5
CACHE_BYTES = 2**30
CLOSED = ("completed", "failed")


class TaskFailed(EngineError):
    """The task ended without a result; its reward went back."""

    exit_code = 1


class NotDone(EngineError):
    """The task has no result yet."""

    exit_code = 1


class Market:
    """A market, as one customer. One thread at a time."""

    def __init__(
        self,
        url: str = "http://localhost:8080",
        *,
        token: str | None = None,
        token_file: Path | str | None = None,
        validator: str | None = None,
    ) -> None:
        """`validator`: address or public key that receipts must be signed by, where you know it.

        Raises BadInput.
        """
        self.client = MarketClient(
            url, token if token_file is None else read_token(Path(token_file))
        )
        self.validator = validator
        self._blobs = own_blobs()

    def infer(
        self,
        model: Path | str,
        samples: npt.NDArray[np.integer] | Path | str,
        *,
        layers: bool = False,
        after: "Task | None" = None,
        reward: str = "1",
        within: float = 3600.0,
    ) -> "Task":
        """Post samples for a model file, or for "digits"; see `inference.build_payload`.

        `after`: a task of the same model and `layers` with the samples before, for a model that keeps
        a state. `reward` in CPC; `within`: seconds until the deadline. Raises BadInput, MarketError.
        """
        state = None if after is None else inference.state_after(model, after.data(), layers=layers)
        payload = inference.build_payload(
            model, samples, layers=layers, state=state, blobs=self._blobs
        )
        return self.post(payload, reward=reward, within=within)

    def multiply(self, a: Path, b: Path, *, reward: str = "1", within: float = 3600.0) -> "Task":
        """Post the product of two .npy files of int8. Raises BadInput, MarketError."""
        payload = matmul.build_payload(a, b, blobs=self._blobs)
        return self.post(payload, reward=reward, within=within)

    def post(self, payload: dict[str, Any], *, reward: str, within: float) -> "Task":
        """Post any payload. Raises MarketError."""
        upload(self.client, payload, self._blobs)
        deadline = time.time() + within
        kind = payload["challenge_type"]
        posted = self.client.post(kind, payload, reward=reward, deadline=deadline)
        return Task(self, posted["task_id"])

    def task(self, task_id: str) -> "Task":
        """Return a task that was posted before."""
        return Task(self, task_id)


class Task:
    """A task of a market."""

    def __init__(self, market: Market, task_id: str) -> None:
        self.market = market
        self.id = task_id
        self._receipt: bytes | None = None
        self._data: bytes | None = None

    def wait(self, seconds: float) -> dict[str, Any]:
        """Return the task as the market shows it, once it is completed. Raises NotDone, TaskFailed."""
        task = when_closed(self.market.client, self.id, seconds)
        if task["status"] == "failed":
            raise TaskFailed(_("the task failed: {reason}").format(**task))
        if task["status"] != "completed":
            raise NotDone(
                _("the task is {status} after {seconds} s").format(seconds=seconds, **task)
            )
        return task

    def data(self, seconds: float = 0.0) -> bytes:
        """Return the result's bytes, which are those that the receipt commits to. Raises WrongClaim."""
        if self._data is None:
            task = self.wait(seconds)
            receipt = self.receipt()
            data = fetch_data(self.market.client, task)
            if found := differences(receipt, Files(data), self.market.validator):
                raise WrongClaim(found[0])
            self._data = data
        return self._data

    def result(self, seconds: float = 0.0) -> npt.NDArray[np.int32]:
        """Return the outputs, a row a sample, or the product. Waits so long; see `data`, `wait`."""
        data, payload = self.data(seconds), self._payload()
        match payload["challenge_type"]:
            case "inference":
                return inference.outputs_of(payload, data, self.market._blobs)
            case "matmul":
                return matmul.decode(payload, data)
            case kind:
                raise BadInput(_("a result of the kind {kind} is its hash alone").format(kind=kind))

    def labels(self, seconds: float = 0.0) -> list[str]:
        """Return the class of each sample, by its name where the model has names."""
        outputs, payload = self.result(seconds), self._payload()
        model = inference.model_of(payload, self.market._blobs)
        return inference.classify(decode_network(model), outputs)

    def receipt(self, seconds: float = 0.0) -> Receipt:
        """Return the signed receipt, its signature checked. Raises WrongClaim, NotDone, TaskFailed."""
        if self._receipt is None:
            task = self.wait(seconds)
            content = self.market.client.receipt(self.id)
            check_receipt(content, task, self.market.validator)
            self._receipt = content
        return read_receipt(self._receipt)

    def save_receipt(self, file: Path | str) -> None:
        """Write the receipt to a file, for `cpc-engine receipt verify`."""
        Path(file).write_bytes(self.receipt().encode())

    def _payload(self) -> dict[str, Any]:
        payload: dict[str, Any] | None = self.market.client.task(self.id)["payload"]
        if payload is None:
            raise BadInput(_("this is another customer's task"))
        return payload


def check_receipt(content: bytes, task: dict[str, Any], validator: str | None = None) -> None:
    """Raise WrongClaim unless this is a valid receipt of a completed task, BadInput for no receipt."""
    receipt = read_receipt(content)
    faults, body = faults_of(receipt, validator), receipt.body
    if (body.task_id, body.result_hash) != (task["task_id"], task["result"]["result_hash"]):
        faults.append(_("it is about another result"))
    if faults:
        raise WrongClaim(_("the market's receipt is wrong: {error}").format(error=faults[0]))


def fetch_data(client: MarketClient, task: dict[str, Any]) -> bytes:
    """Return a result's bytes, which have the hash that the market gave, or raise WrongClaim."""
    data = client.data(task["task_id"])
    if hashlib.sha256(data).hexdigest() != task["result"]["data"]["sha256"]:
        raise WrongClaim(_("the data does not have the hash that the market gave"))
    return data


def read_token(file: Path) -> str:
    """Return the token in a file. Raises BadInput."""
    try:
        return read_bounded(file, SMALL_BYTES).decode("utf-8-sig").strip()
    except OSError as error:
        message = _("{file} cannot be read: {error}")
        raise BadInput(message.format(file=file, error=reason_of(error))) from error
    except ValueError as error:
        message = _("{file} contains no token: {error}")
        raise BadInput(message.format(file=file, error=error)) from None


def own_blobs() -> BlobCache:
    """Return the inputs of our own tasks, which explain their results."""
    return BlobCache(state_directory() / "tasks", CACHE_BYTES)


def upload(client: MarketClient, payload: dict[str, Any], blobs: BlobCache) -> None:
    """Upload the bytes that the payload names and that are here."""
    for field in payload.values():
        if isinstance(field, dict) and set(field) == {"sha256", "size"}:
            ref = BlobRef(field["sha256"], field["size"])
            if blobs.has(ref):
                with blobs.open(ref) as file:
                    client.put_blob(ref.sha256, file)


def when_closed(client: MarketClient, task_id: str, wait: float) -> dict[str, Any]:
    """Return the task once it is closed, or as it is after `wait` seconds."""
    until = time.monotonic() + wait
    while True:
        task = client.task(task_id)
        if task["status"] in CLOSED or time.monotonic() >= until:
            return task
        time.sleep(POLL_SECONDS)
