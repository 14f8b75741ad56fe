"""Networks wholly on a real card: every operator, known answers, jobs. Skipped, by name, without one.

    python -m pytest tests/kernels/cuda/test_network_gpu.py

On another kind of card start with `test_known_answers`.
"""

import importlib.util
import os

import numpy as np
import pytest

if importlib.util.find_spec("numba_cuda") is None or os.environ.get("NUMBA_ENABLE_CUDASIM"):
    pytest.skip("needs numba-cuda and a GPU", allow_module_level=True)

from numba import cuda

if not cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

from engine.jobs.models import digits
from kernels.cuda.device import CudaDevice
from kernels.cuda.network.known_answers import problem_of
from kernels.cuda.network.known_graph import CARD_SIZES, SIMULATED_SIZES
from kernels.cuda.network.model import Model
from kernels.cuda.network.operators import RUN
from kernels.cuda.network.run import run
from kernels.cuda.network.trial import SWITCH
from kernels.data import Data
from kernels.devices import open_device
from kernels.network import reference
from kernels.work.inference import InferenceWork
from kernels.work.matmul import MatrixWork
from tests.kernels.cuda.operator_cases import Cases
from tests.kernels.network.test_graph_files import file_of, small


@pytest.fixture(scope="module")
def card():
    with CudaDevice(0) as device:
        yield device


@pytest.fixture(scope="module")
def host():
    with open_device("reference") as device:
        yield device


@pytest.mark.parametrize("sizes", [SIMULATED_SIZES, CARD_SIZES], ids=["small", "large"])
def test_known_answers(card, sizes):
    assert problem_of(card.machine(), sizes) == ""


@pytest.mark.parametrize("op", [kind.op for kind in RUN])
def test_random_cases(card, op):
    for seed in range(200):
        graph, samples = Cases(seed).make(op)
        rows = run(Model(card.machine()), graph, samples, layers=False, group=2)
        np.testing.assert_array_equal(rows.to_host(), reference.forward(graph, samples))


def works():
    random = np.random.default_rng(4)
    a, b = random.bytes(700 * 300), random.bytes(300 * 1100)
    yield MatrixWork(700, 300, 1100, Data.of_bytes(a), Data.of_bytes(b), returns_data=True)
    for model, entries, layers in (
        (file_of(*small()), 16, False),
        (file_of(*small()), 16, True),
        (digits.model_bytes(), 64, False),
    ):
        samples = Data.of_bytes(random.bytes(70 * entries))
        yield InferenceWork.of(Data.of_bytes(model), samples, 70, returns_data=True, layers=layers)


@pytest.mark.parametrize("number", range(4))
def test_jobs(card, host, number, monkeypatch):
    """The same outcome and openings as the reference's; without the trial, which has its own test."""
    monkeypatch.setenv(SWITCH, "1")
    work = list(works())[number]
    outcome = work.run(card)
    assert outcome == work.run(host)
    for _ in range(2):  # recorded, and done again
        assert work.run(card) == outcome
    assert card.whole_jobs().problem == ""
    opening = work.opening(outcome.result_hash, [0, work.leaf_count - 1])
    opening.check(opening.run(card))


def test_the_trial_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("CPC_CACHE", str(tmp_path))
    monkeypatch.delenv(SWITCH, raising=False)
    with CudaDevice(0) as device:
        work = next(works())
        assert work.run(device).data
        assert device.whole_jobs().problem == ""
    assert list(tmp_path.glob("card-jobs-*"))


def test_switched_off(monkeypatch):
    monkeypatch.setenv(SWITCH, "0")
    with CudaDevice(0) as device, open_device("reference") as host:
        assert device.whole_jobs() is None
        work = next(works())
        assert work.run(device) == work.run(host)
