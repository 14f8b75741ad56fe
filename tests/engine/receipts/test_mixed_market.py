"""A market as it is meant: several models, workers that cheat, and workers that are killed.

Each task ends once, right, with a receipt that verifies.
"""

import base64
import os
import subprocess

import numpy as np
import pytest
from msgspec.structs import replace

from engine.client import Market
from engine.jobs.blobs import BlobRef
from engine.jobs.models import digits
from engine.poc_protocol.frames import ResultData
from engine.receipts.verification import Files, differences
from kernels.data import Data
from kernels.network import reference
from kernels.network.graph.graph import Graph
from kernels.network.model import decode_network, encode_network
from kernels.network.tflite.importer import import_tflite
from kernels.work.inference import InferenceWork
from node_client.keystore import Keystore
from tests.engine.receipts.market import KINDS, MODEL
from tests.engine.validator.live import LiveValidator, LiveWorker
from tests.processes import ENGINE, end, wait_until

pytest.importorskip("tflite", reason="package tflite (extra: models)")
IMPORTED = ("CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D", "SOFTMAX")
ROUNDS = 6
RANDOM = np.random.default_rng(11)


class Cheat(LiveWorker):
    """Computes, spoils, and commits to that."""

    def _work(self, job):
        work = self.kinds.job(job.payload)
        rows = work.form.entries(work.run(self.device).data).copy()
        outcome, _tree = work.committed(self.spoil(work, rows))
        ref = BlobRef.of(outcome.data)
        inline = base64.b64encode(outcome.data).decode()
        data = ResultData(sha256=ref.sha256, size=ref.size, inline=inline)
        result = self.mind.result(job, outcome.result_hash.hex(), None)
        return [replace(result, data=data)]

    def spoil(self, _work, rows):
        """One entry of each sample."""
        rows[np.arange(len(rows)), RANDOM.integers(0, rows.shape[1], len(rows))] ^= 1
        return rows


class Copier(Cheat):
    """The outputs of other samples."""

    def spoil(self, work, rows):
        other = RANDOM.integers(-128, 128, work.input.size, np.int8).tobytes()
        copied = InferenceWork.of(work.model, Data.of_bytes(other), work.batch, True, work.layers)
        found = copied.form.entries(copied.run(self.device).data)
        return found if (found != rows).any() else super().spoil(work, rows)


def models(directory):
    """Files of models: imported ones, a graph with every operator, and the chain `digits`."""
    from tests.kernels.network.test_litert import recorded

    found = {}
    for kind, content, *_more in recorded():
        if kind in IMPORTED:
            found.setdefault(kind, encode_network(import_tflite(content, kind)))
    found |= {"graph": MODEL, "digits": digits.model_bytes()}
    for name, content in found.items():
        (directory / name).write_bytes(content)
    assert len(found) == len(IMPORTED) + 2
    return {name: decode_network(content) for name, content in found.items()}


def post(market, directory, networks):
    """Each model some times, one to three samples, with and without layers: task, network, samples."""
    posted = []
    for number in range(ROUNDS):
        for name, network in networks.items():
            samples = RANDOM.integers(-128, 128, (1 + number % 3, *network.input_shape), np.int8)
            layers = isinstance(network, Graph) and bool(number % 2)
            task = market.infer(directory / name, samples, layers=layers, reward="0.5")
            posted.append((task, network, samples))
    return posted


def banned(validator):
    with validator.store() as store:
        return {one.address for one in store.workers.all() if one.banned_at}


@pytest.mark.slow
def test_each_task_ends_once_right_with_a_receipt(tmp_path, monkeypatch):
    monkeypatch.setenv("CPC_STATE", str(tmp_path / "state"))
    validator = LiveValidator(tmp_path)
    token = validator.customer()["authorization"].removeprefix("Bearer ")
    keys = tmp_path / "workers"
    address = Keystore(keys).create("worker").address
    environment = os.environ | {"CPC_KEYS": str(keys), "OPENBLAS_NUM_THREADS": "1"}
    command = [*ENGINE, "work", "--validator", validator.url, "--device", "reference", "--json"]
    validator.start()
    blobs = tmp_path / "blobs"  # the validator's own: these fetch nothing
    crew = [kind(validator.url, blobs, delay=0.1) for kind in (LiveWorker, Cheat, Copier, Cheat)]
    cheats = {one.key.address for one in crew[1:]}
    worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        market = Market(validator.http, token=token)
        posted = post(market, tmp_path, models(tmp_path))
        wait_until(lambda: validator.total("completed") >= 3)
        end(worker)  # in the middle of what it was given
        for one in crew:
            one.mind.capabilities = KINDS
        # one after another: on a busy machine, who comes late may find no task left to cheat with
        for one in crew[1:]:
            one.start()
        wait_until(lambda: banned(validator) == cheats, validator.log)
        done = validator.total("completed")
        crew[0].start()
        wait_until(lambda: validator.total("completed") > done + 1, validator.log)
        worker = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        wait_until(lambda: validator.total("completed") == len(posted), validator.log)
        signers = set()
        for task, network, samples in posted:
            shaped = samples.reshape(len(samples), *network.input_shape)
            assert np.array_equal(task.result(), reference.forward(network, shaped))
            receipt = task.receipt()
            assert differences(receipt, Files(task.data(), {"input": samples.tobytes()})) == []
            signers.add(receipt.body.validator.address)
        assert len(signers) == 1
    finally:
        for one in crew:
            one.stop()
        end(worker)
        validator.stop()
    assert banned(validator) == cheats
    with validator.store() as store:
        for task, _network, _samples in posted:
            states = [job.state for job in store.jobs.of_task(task.id)]
            assert states.count("accepted") == 1
        paid = {job.worker_address for task, *_ in posted for job in store.jobs.of_task(task.id)
                if job.state == "accepted"}  # fmt: skip
        assert paid == {address, crew[0].key.address}
