"""Jobs wholly on the simulated card: commitments, openings, and the way back to the host's path."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("numba must start with NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from engine.jobs.models import digits
from kernels.commit.rows import MatrixForm, MatrixTree
from kernels.cuda.network.commitment import commit
from kernels.cuda.network.jobs import CardJobs
from kernels.cuda.network.kernel import KERNELS
from kernels.cuda.network.known_answers import problem_of
from kernels.cuda.network.known_graph import SIMULATED_SIZES, graph_of_all
from kernels.cuda.network.operators import RUN
from kernels.cuda.network.run import CardRows
from kernels.cuda.network.trial import SWITCH, CardTrial, command
from kernels.data import Data
from kernels.errors import DeviceFault, TaskTooLarge
from kernels.host import HostDevice
from kernels.network.graph.of_chain import graph_of_chain
from kernels.network.model import decode_network, encode_network
from kernels.operations import REFERENCE
from kernels.work.inference import InferenceWork
from kernels.work.matmul import MatrixWork
from tests.kernels.cuda.simulated import SimulatedMachine
from tests.kernels.network.test_graph_files import file_of, small
from tests.processes import PATIENCE_SECONDS
from tests.variants import quick_and_slow

RANDOM = np.random.default_rng(18)
TRIED = ("add", "depthwise", "layer norm", "product")
"""Kernels that lie in `make test`; `make test-all` has the others."""
COMMITMENT = ("row_leaves_kernel", "reduce_kernel", "gather_kernel")


class Liar(SimulatedMachine):
    """What one kernel writes is changed, each byte."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel = kernel

    def launch(self, kernel, count, *arguments):
        super().launch(kernel, count, *arguments)
        if kernel.name == self.kernel:
            written = {"row sums": 1, "pair sums": 2, "pair zero points": 3, "argmax": 1}
            places = {"move": 2, "take": 2, "patches": 2, "depthwise": 3, "pool": 2, "resize": 2,
                      "table": 2, "embed": 2, "softmax": 4, "layer": 7, "requantise": 5}  # fmt: skip
            written |= {"depthwise fours": 4, "depthwise sixteens": 4, "requantise fours": 2}
            written |= {"softmax most": 1, "softmax totals": 3}
            at = written.get(kernel.name, places.get(kernel.name.split()[0], 4))
            arguments[at].bytes += np.uint8(0x35)

    def launch_grid(self, kernel, grid, threads, *arguments):
        super().launch_grid(kernel, grid, threads, *arguments)
        if kernel.__name__ == self.kernel:
            at = {"row_leaves_kernel": 1, "reduce_kernel": 4, "gather_kernel": 2}[self.kernel]
            arguments[at].bytes += np.uint8(0x35)

    def multiply(self, A, B):
        sums = super().multiply(A, B)
        sums.block.bytes += np.uint8(0x35 * (self.kernel == "product"))
        return sums


class Raises(SimulatedMachine):
    """A card whose kernels do not compile, or whose driver refuses."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def launch(self, kernel, count, *arguments):
        raise self.error


class InProcess:
    """A trial in this process."""

    def __init__(self, machine=None):
        self.found = "" if machine is None else problem_of(machine, SIMULATED_SIZES)

    def problem(self):
        return self.found

    def distrust(self, problem):
        self.found = problem


class CardLike(HostDevice):
    """The reference's device, with a card's jobs."""

    def __init__(self, machine, trial):
        super().__init__(REFERENCE, 1)
        self.made, self.trial = machine, trial
        self.jobs = CardJobs(lambda: machine, self, trial)

    def whole_jobs(self):
        return self.jobs


@pytest.fixture
def host():
    with HostDevice(REFERENCE, 1) as device:
        yield device


def inference(layers=False, count=3):
    samples = RANDOM.integers(-128, 128, (count, 16)).astype(np.int8)
    model, data = Data.of_bytes(file_of(*small())), Data.of_bytes(samples.tobytes())
    return InferenceWork.of(model, data, count, returns_data=True, layers=layers)


@pytest.mark.parametrize(
    ("rows", "columns", "entry_bytes"),
    [
        (1, 1, 1),
        (2, 56, 1),
        (3, 64, 1),
        (1, 1026, 4),
        *(
            pytest.param(*form, marks=pytest.mark.slow)
            for form in ((5, 17, 4), (2, 4097, 1), (3, 55, 1))
        ),
    ],
)
def test_commitment(rows, columns, entry_bytes):
    """Leaves of every kind of ending, of one row and of several; siblings of the first and the last."""
    machine, form = SimulatedMachine(), MatrixForm(rows, columns, entry_bytes)
    matrix = RANDOM.integers(-128, 128, (rows, columns)).astype(form.dtype)
    found = CardRows.empty(machine, rows, columns, entry_bytes)
    content = np.full((rows, found.pitch), 0xA5, np.uint8)
    content[:, : columns * entry_bytes] = matrix.view(np.uint8)
    machine.write(found.block, content)
    tree, right = commit(found), MatrixTree(form, matrix)
    leaves = sorted({0, form.leaf_count - 1})
    assert tree.result_hash == right.result_hash
    assert tree.siblings(leaves) == right.siblings(leaves)


@pytest.mark.parametrize("layers", quick_and_slow([True], [False]))
def test_inference_is_the_host_s(host, layers):
    work, device = inference(layers), CardLike(SimulatedMachine(), InProcess())
    outcome = work.run(device)
    assert outcome == work.run(host)
    assert device.made.launched >= {"row_leaves_kernel", "softmax"}
    opening = work.opening(outcome.result_hash, [0, work.leaf_count - 1])
    opening.check(opening.run(device))
    for recorded in (1, 1):  # the second time, and that is done again the third
        device.made.uploaded = 0
        again = inference(layers)
        assert again.run(device) == again.run(host)
        assert device.made.uploaded == again.input.size, "weights and plans stay there"
        assert device.made.recorded == recorded
    opening.check(opening.run(device))
    device.jobs.release()
    assert work.run(device) == outcome


def test_matmul_is_the_host_s(host):
    a, b = RANDOM.bytes(3 * 5), RANDOM.bytes(5 * 4)
    work = MatrixWork(3, 5, 4, Data.of_bytes(a), Data.of_bytes(b), returns_data=True)
    device = CardLike(SimulatedMachine(), InProcess())
    assert work.run(device) == work.run(host)
    assert "row_leaves_kernel" in device.made.launched


def test_a_chain_of_layers_is_done_too(host):
    model = digits.model_bytes()
    chain = decode_network(model)
    graph = graph_of_chain(chain)
    assert decode_network(encode_network(graph)).sample_cost >= chain.sample_cost
    samples = Data.of_bytes(RANDOM.integers(-128, 128, 64).astype(np.int8).tobytes())
    work = InferenceWork.of(Data.of_bytes(model), samples, 1, returns_data=True)
    device = CardLike(SimulatedMachine(), InProcess())
    assert work.run(device) == work.run(host)
    assert "patches" in device.made.launched or "requantise" in device.made.launched


def test_the_known_answers_have_every_operator_and_every_kernel():
    machine = SimulatedMachine()
    assert problem_of(machine, SIMULATED_SIZES) == ""
    assert machine.launched >= {*KERNELS, *COMMITMENT} - {"gather_kernel"}
    graph = graph_of_all(SIMULATED_SIZES)
    assert {type(node.operator) for node in graph.nodes} == set(RUN)


LIARS = [
    kernel if kernel in TRIED else pytest.param(kernel, marks=pytest.mark.slow)
    for kernel in (*KERNELS, *COMMITMENT, "product")
]


@pytest.mark.parametrize("kernel", LIARS)
def test_a_kernel_that_lies_is_found(kernel):
    if kernel == "softmax most":  # the next kernel looks up what it wrote: an illegal address
        with pytest.raises(IndexError):
            problem_of(Liar(kernel), SIMULATED_SIZES)
    else:
        assert "known-answer" in problem_of(Liar(kernel), SIMULATED_SIZES)


def test_a_lying_card_computes_with_the_host_s_help(host, caplog):
    machine = Liar("depthwise")
    device, work = CardLike(machine, InProcess(machine)), inference()
    machine.launched.clear()
    assert work.run(device) == work.run(host)
    assert work.run(device) == work.run(host)
    assert not machine.launched
    (said,) = caplog.messages
    assert "known-answer test of networks failed" in said


@pytest.mark.parametrize("kernel", ["softmax", "product", "move i1 i1"])
def test_a_kernel_that_begins_to_lie_after_its_trial(host, kernel):
    device, work = CardLike(Liar(kernel), InProcess()), inference()
    assert work.run(device) == work.run(host)
    assert "first sample" in device.trial.problem()


@pytest.mark.parametrize("error", [ValueError("no such instruction"), DeviceFault("INVALID_VALUE")])
def test_a_kernel_that_does_not_compile_or_launch(host, caplog, error):
    device, work = CardLike(Raises(error), InProcess()), inference()
    assert work.run(device) == work.run(host)
    assert str(error) in caplog.messages[0]


def test_short_memory_is_no_reason_for_distrust(host):
    device, work = CardLike(Raises(TaskTooLarge("full")), InProcess()), inference()
    assert work.run(device) == work.run(host)
    assert device.trial.problem() == ""


def test_a_lost_context_ends_the_process_and_is_remembered():
    device = CardLike(Raises(DeviceFault("ILLEGAL_ADDRESS", sticky=True)), InProcess())
    with pytest.raises(DeviceFault):
        inference().run(device)
    assert "ILLEGAL_ADDRESS" in device.trial.problem()


# ---------------------------------------------------------------------------------------------------
# The trial in a process of its own, with faults for real.


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CPC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv(SWITCH, raising=False)


def trial(code, seconds=PATIENCE_SECONDS):
    return CardTrial("card, driver", (sys.executable, "-c", code), seconds)


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("print('')", ""),
        ("print('a product differs'); raise SystemExit(1)", "a product differs"),
        ("import os; os.kill(os.getpid(), 11)", "ended with code -11"),
        ("raise ValueError('ptxas')", "ValueError: ptxas"),
    ],
)
def test_the_trial_s_answer_is_kept(cache, code, problem):
    found = trial(code).problem()
    assert problem in found
    assert bool(problem) == bool(found)
    assert trial("raise SystemExit(9)").problem() == found


def test_the_trial_where_there_is_no_card(cache):
    """This machine has none: the program itself says so, and the worker goes on."""
    assert "known-answer test of networks ended with code 1" in (
        CardTrial("card, driver", command(0, "wgmma")).problem()
    )


def test_a_trial_that_hangs(cache):
    assert "took more than" in trial("import time; time.sleep(60)", seconds=0.5).problem()


def test_a_trial_whose_process_was_killed_is_not_tried_again(cache, tmp_path):
    """As the pool does with a child whose deadline passed."""
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "from kernels.cuda.network.trial import CardTrial\n"
        "CardTrial('card, driver', (sys.executable, '-c', 'input()')).problem()"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    waiting = trial("print('')")
    while not list((tmp_path / "cache").glob("card-jobs-*")):
        assert child.poll() is None
        time.sleep(0.01)
    child.kill()
    child.wait()
    child.stdin.close()
    assert "took its process down" in waiting.problem()


def test_switched_on_without_a_trial(cache, monkeypatch):
    monkeypatch.setenv(SWITCH, "1")
    assert trial("raise SystemExit(9)").problem() == ""


def test_distrust_is_kept(cache):
    first = trial("print('')")
    assert first.problem() == ""
    first.distrust("a model's first sample")
    assert trial("print('')").problem() == "a model's first sample"
