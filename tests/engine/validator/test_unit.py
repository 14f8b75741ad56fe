"""Rows that are written together: what an undone change takes with it, and whose rows they are."""

import asyncio
import threading
from functools import partial

import pytest

from engine.runtime.group_commit import GroupCommit
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.backend import DatabaseLost
from engine.validator.store.customers import NoCredit
from engine.validator.store.database import Store
from tests.engine.validator.arena import Worker

NO_CHANCE = Policy(least_full=0.0)
ADDRESSES = [f"cpc{number}" for number in range(6)]


class Sleeper(Worker):
    """Takes jobs and does nothing."""

    def work(self, job):
        self.jobs[job.job_id] = (job, None)
        return []


@pytest.fixture
def sent(arena):
    """A market with three jobs that are out, each at a worker of its own: market, jobs' ids."""
    one = arena(policy=NO_CHANCE)
    workers = [one.join(Sleeper) for _ in range(3)]
    for _ in range(6):
        one.post()
    return one, [next(iter(worker.jobs)) for worker in workers]


def end(store, job_id):
    with store.database.write() as db:
        return store.jobs.end(db, job_id, "dropped", "test")


def states(store, ids):
    """As they are in memory, and as another process reads them."""
    known = [store.jobs.find(job_id).state for job_id in ids]
    store.jobs.forget()
    assert [store.jobs.find(job_id).state for job_id in ids] == known
    return known


@pytest.mark.parametrize("reads", [False, True])
def test_a_change_that_is_undone_takes_its_rows_along_and_no_others(sent, reads):
    one, ids = sent
    store = one.store

    def half(job_id):
        assert end(store, job_id)
        store.workers.blame(one.workers[2].key.address, 1.0)
        if reads:  # which writes what waits, and needs a savepoint for this change's own
            task_id = store.jobs.find(job_id).task_id
            assert [job.state for job in store.jobs.of_task(task_id)] == ["dropped"]
        raise ValueError(job_id)

    async def run():
        groups = GroupCommit(store.database)
        changes = [partial(end, store, ids[0]), partial(half, ids[1]), partial(end, store, ids[2])]
        return await asyncio.gather(*map(groups.add, changes), return_exceptions=True)

    first, failed, third = asyncio.run(run())
    assert (first, third) == (True, True)
    assert isinstance(failed, ValueError)
    assert states(store, ids) == ["dropped", "out", "dropped"]
    assert store.workers.find(one.workers[2].key.address).reputation.bad == 0
    assert not end(store, ids[0])
    assert end(store, ids[1])


def test_a_job_that_somebody_else_has_ended_undoes_all_of_the_unit(sent):
    one, ids = sent
    store = one.store
    with store.database.write() as db:
        db.execute("UPDATE jobs SET state = 'refused' WHERE job_id = ?", (ids[1],))

    def end_all():
        with store.database.write():
            for job_id in ids:
                end(store, job_id)

    with pytest.raises(DatabaseLost, match="took over"):
        end_all()
    assert states(store, ids) == ["out", "refused", "out"]


def test_what_workers_did_in_one_unit_counts_once_each(arena):
    one = arena(policy=NO_CHANCE)
    worker = one.join()
    address, workers = worker.key.address, one.store.workers
    with one.store.database.write():
        for pace in (1e-9, 2e-9):
            workers.credit(address, pace=pace)
        workers.blame(address, 0.5)
        workers.credit("nobody", pace=1.0)
    known = workers.find(address)
    assert (known.reputation.good, known.reputation.bad) == (2.0, 0.5)
    assert known.rate == pytest.approx(1 / 1.2e-9)
    assert workers.find("nobody") is None


def test_two_validators_with_the_same_workers_do_not_wait_for_each_other_for_ever(cluster):
    place = cluster.new_database()
    with Store.open(place) as one, Store.open(place) as two:
        for address in ADDRESSES:
            one.workers.record_seen(address, proven=True)

        def credit(store, addresses):
            for _ in range(40):
                with store.database.write():
                    for address in addresses:
                        store.workers.credit(address, pace=1e-9)

        threads = [
            threading.Thread(target=credit, args=(one, ADDRESSES)),
            threading.Thread(target=credit, args=(two, ADDRESSES[::-1])),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        good = {worker.address: worker.reputation.good for worker in one.workers.all()}
    assert good == {address: pytest.approx(80, abs=0.01) for address in ADDRESSES}


def test_credit_is_right_after_a_post_in_a_group_that_is_undone(arena):
    one = arena(policy=NO_CHANCE)
    store = one.store
    store.customers.add("bob")
    store.customers.deposit("bob", 10, "test")

    def take(units, *, fails=False):
        store.customers.pay_escrow("bob", units, "task")
        if fails:
            raise ValueError(units)

    def give_back_and_take(units):
        store.customers.refund("bob", 1, "test", "task")
        take(units)

    async def run():
        groups = GroupCommit(store.database)
        changes = [
            *(partial(take, 4), partial(take, 6, fails=True), partial(take, 7), partial(take, 5)),
            *(partial(give_back_and_take, 2), partial(take, 1)),
        ]
        return await asyncio.gather(*map(groups.add, changes), return_exceptions=True)

    made = [type(each) for each in asyncio.run(run())]
    nothing = type(None)
    assert made == [nothing, ValueError, NoCredit, nothing, nothing, NoCredit]
    assert store.customers.credit("bob") == 0
    booked = store.database.read("SELECT units FROM bookings WHERE customer = 'bob' ORDER BY id")
    assert [int(row["units"]) for row in booked] == [10, -4, -5, 1, -2]
