"""The driver's machine on host memory: what it hands to kernels, what it checks, what it gives back."""

import gc
import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("numba must start with NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from types import SimpleNamespace

from kernels.cuda.network.jobs import product
from kernels.cuda.network.known_answers import problem_of
from kernels.cuda.network.known_graph import SIMULATED_SIZES
from kernels.cuda.network.machine import CannotRecord
from kernels.errors import DeviceFault, TaskTooLarge
from kernels.work.matrix import bytes_of
from tests.kernels.cuda import host_driver

RANDOM = np.random.default_rng(3)


@pytest.fixture(scope="module")
def driver():
    with host_driver.installed() as made:
        yield made


@pytest.fixture
def kernels(driver):
    return host_driver.HostKernels(driver)


@pytest.fixture
def machine(kernels, monkeypatch):
    from kernels.cuda.network import card

    monkeypatch.setattr(card, "_RESERVE", 0)
    monkeypatch.setattr(card.CardMachine, "tree_threads", 4)
    monkeypatch.setattr(card.CardMachine, "tree_lanes", 2)
    made = card.CardMachine(kernels, SimpleNamespace(multiprocessors=4), lambda _size: None)
    yield made
    made.close()


def operands(m=3, k=5, n=4):
    return (RANDOM.integers(-128, 128, shape).astype(np.int8) for shape in ((m, k), (k, n)))


def test_known_answers_and_nothing_is_left_behind(machine, driver):
    assert problem_of(machine, SIMULATED_SIZES) == ""
    gc.collect()
    machine.trim()
    assert len(driver.blocks) == 2, "the verdicts, and SHA-256's constants"
    machine.close()
    assert not driver.blocks


def test_memory_is_used_again(machine, driver):
    first = machine.empty(5000)
    address = first.address
    del first
    assert machine.empty(4900).address == address
    assert len(driver.blocks) == 2


def test_a_product_that_fails_its_check(machine, kernels):
    A, B = operands()
    kernels.wrong_products = 1
    with pytest.raises(DeviceFault, match="Freivalds"):
        product(machine, A, B)
    C, _tree = product(machine, A, B)
    assert np.array_equal(C, A.astype(np.int32) @ B)


def test_more_products_than_verdicts(machine, kernels, monkeypatch):
    from kernels.cuda.network import card

    monkeypatch.setattr(card, "_VERDICTS", 3)
    A, B = operands()
    left, right = machine.upload(A), machine.right(machine.upload(np.ascontiguousarray(B.T)))
    kernels.wrong_products = 1
    for _ in range(3):
        machine.multiply(left, right)
    with pytest.raises(DeviceFault, match="Freivalds"):
        machine.multiply(left, right)
    machine.wait()


def test_a_recording(machine, kernels, driver):
    """Done again on new input, checked each time; what it copies from the host cannot be recorded."""
    A, B = operands()
    right = machine.right(machine.upload(np.ascontiguousarray(B.T)))
    left, made = machine.upload(A), []
    machine.multiply(left, right)
    machine.wait()
    recording = machine.record(lambda: made.append(machine.multiply(left, right)))
    for _ in range(2):
        A = next(operands())
        machine.write(left.block, A)
        recording.replay()
        rows = machine.read(made[0].block, 3, 16, 4 * made[0].pitch)
        assert np.array_equal(rows.view(np.int32), A.astype(np.int32) @ B)
    kernels.wrong_products = 1
    recording.replay()
    with pytest.raises(DeviceFault, match="Freivalds"):
        machine.wait()
    with pytest.raises(CannotRecord):
        machine.record(lambda: machine.write(left.block, A))
    assert driver.graphs == 1
    made.clear()
    del recording
    gc.collect()
    assert driver.graphs == 0
    held = len(driver.blocks)
    machine.trim()
    assert len(driver.blocks) < held


@pytest.mark.parametrize(
    ("rows", "row_bytes", "pitch"), [(1, 100, 128), (7, 64, 64), (9, 50, 64), (3, 130, 192)]
)
def test_large_copies_go_in_pieces(machine, driver, monkeypatch, rows, row_bytes, pitch):
    """Whole rows, parts of a row, with gaps between the rows and without; more than buffers."""
    from kernels.cuda import pinned
    from kernels.cuda.network import card

    monkeypatch.setattr(pinned, "PIECE", 40)
    monkeypatch.setattr(pinned, "SENT", 20)
    monkeypatch.setattr(card, "WORTH", 1)
    monkeypatch.setattr(card, "WORTH_SENDING", 1)
    content = RANDOM.integers(0, 256, (rows, pitch)).astype(np.uint8)
    block = machine.empty(content.size)
    machine.write(block, content)
    found = machine.read(block, rows, row_bytes, pitch)
    np.testing.assert_array_equal(found, content[:, :row_bytes])
    assert bytes_of(found) == found.tobytes()
    assert bytes_of(found) is bytes_of(found)
    assert bytes_of(found[:, 1:]) == found[:, 1:].tobytes()
    machine.close()
    assert not driver.pinned


def test_short_memory(machine, driver):
    held = machine.empty(host_driver.MEMORY // 2)
    with pytest.raises(TaskTooLarge):
        machine.empty(host_driver.MEMORY // 2 + 4096)
    del held
    assert machine.empty(host_driver.MEMORY // 2 + 4096).size > host_driver.MEMORY // 2
