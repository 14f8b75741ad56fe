"""Jobs with one model run as one batch at a child: each has its own result, and faults stay its own."""

import pickle
import queue
from dataclasses import replace

import numpy as np
import pytest

from engine.jobs.models import digits
from engine.pool.limits import Limits
from engine.pool.messages import Run
from engine.pool.worker_main import MOST_TOGETHER, Lanes
from engine.runtime.errors import JobGivenUp
from kernels.data import Data
from kernels.network.graph.layers import layer_columns
from kernels.work.inference import InferenceWork
from tests.engine.receipts.market import MODEL, NETWORK
from tests.processes import PATIENCE_SECONDS

DIGITS = Data.of_bytes(digits.model_bytes())
GRAPH = Data.of_bytes(MODEL)
RANDOM = np.random.default_rng(7)


def works(model, entries, count, **more):
    """As many works with one to three samples each."""
    made = []
    for number in range(count):
        batch = 1 + number % 3
        samples = RANDOM.integers(-128, 128, (batch, entries), np.int8)
        made.append(InferenceWork.of(model, Data.of_bytes(samples.tobytes()), batch, True, **more))
    return made


@pytest.mark.parametrize("device", ["cpu", "reference"])
@pytest.mark.parametrize(("model", "entries", "layers"), [(DIGITS, 64, False), (GRAPH, 16, True)])
def test_each_has_the_bits_that_it_has_by_itself(request, device, model, entries, layers):
    on = request.getfixturevalue(device)
    some = works(model, entries, 7, layers=layers)
    together = InferenceWork.run_together(some, on)
    for work, outcome in zip(some, together, strict=True):
        assert outcome == work.run(on)
        work.check(outcome)
        opening = work.opening(outcome.result_hash, [0])
        opening.check(opening.run(on))
    assert not layers or some[0].form.columns == NETWORK.columns + layer_columns(NETWORK)


def lanes_of(*orders):
    tasks = queue.Queue()
    for order in orders:
        tasks.put((False, pickle.dumps([order])))
    return Lanes(tasks)


def test_what_goes_together_overtakes_nothing():
    a, b = works(DIGITS, 64, 40), works(GRAPH, 16, 2)
    runs = [Run(i, work) for i, work in enumerate([*a[:3], b[0], *a[3:], b[1]])]
    lanes = lanes_of(*runs)
    done, sizes = [], []
    while len(done) < len(runs):
        taken = lanes.take(wait=True)
        batch = [taken.order, *lanes.alike(taken)]
        done += [order.ticket for order in batch]
        sizes.append(len(batch))
    assert done == [*range(len(runs))]
    assert sizes == [3, 1, MOST_TOGETHER, 37 - MOST_TOGETHER, 1]


def test_urgent_work_is_not_waited_with():
    a = works(DIGITS, 64, 3)
    lanes = lanes_of(Run(1, a[0]), Run(2, a[1], urgent=True), Run(3, a[2]))
    taken = lanes.take(wait=True)
    assert (taken.order.ticket, taken.overtakes, lanes.alike(taken)) == (2, True, [])


def test_a_large_batch_is_cut():
    large = [replace(work, sample_cost=2**27) for work in works(DIGITS, 64, 6)]
    lanes = lanes_of(*(Run(i, work) for i, work in enumerate(large)))
    assert lanes.alike(lanes.take(wait=True)) == []  # 2^27, and 2^28 for the next


def test_a_job_that_cannot_be_done_costs_the_others_in_its_batch_nothing(open_pool, tmp_path):
    pool, _log = open_pool(limits=Limits(start=60.0))
    some = works(DIGITS, 64, 24)
    gone = Data.of_file(tmp_path / "gone", bytes(32), 64)
    bad = InferenceWork(DIGITS, gone, 1, *_facts(some[0]))
    futures = [pool.submit(work, name=str(i)) for i, work in enumerate([*some[:9], bad, *some[9:]])]
    wrong = futures.pop(9)
    for work, future in zip(some, futures, strict=True):
        work.check(future.result(PATIENCE_SECONDS).outcome)
    with pytest.raises(JobGivenUp):
        wrong.result(PATIENCE_SECONDS)


def _facts(work):
    return work.sample_cost, work.working_bytes, work.outputs, True
