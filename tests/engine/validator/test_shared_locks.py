"""Several validators over one database: rows that two of them change at the same time."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.runtime.group_commit import GroupCommit
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.backend import DatabaseLost
from tests.engine.validator.sessions import pid_of, waits_for_a_lock
from tests.processes import wait_until

NO_CHANCE = Policy(least_full=0.0)


@pytest.fixture
def place(cluster):
    return cluster.new_database()


def test_credit_is_right_however_many_book_at_once(stores):
    opened = [stores() for _ in range(3)]
    opened[0].customers.add("alice")

    def book(store):
        for _ in range(40):
            store.customers.deposit("alice", 3, "test")
            store.customers.withdraw("alice", 1, "test")

    threads = [threading.Thread(target=book, args=(store,)) for store in opened]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened[0].customers.credit("alice") == 3 * 40 * 2


def give_back(store, names, both_are_at_it):
    with store.database.write():
        store.customers.refund(names[0], 1, "test", "a")
        both_are_at_it.wait()  # each would have one row, and wait for the other's
        store.customers.refund(names[1], 1, "test", "b")


def post(store, names, both_are_at_it):
    both_are_at_it.wait()
    for _ in range(50):
        with store.database.write():
            store.customers.lock(names)
            for name in names:
                store.customers.pay_escrow(name, 1, "c")


@pytest.mark.parametrize(("change", "credit"), [(give_back, 102), (post, 0)])
def test_two_validators_never_wait_for_each_others_customers(stores, change, credit):
    names, both_are_at_it = ("alice", "bob"), threading.Barrier(2, timeout=60)
    one, other = stores(), stores()
    for name in names:
        one.customers.add(name)
        one.customers.deposit(name, 100, "test")
    with ThreadPoolExecutor() as threads:
        done = [
            threads.submit(change, one, names, both_are_at_it),
            threads.submit(change, other, names[::-1], both_are_at_it),
        ]
        assert [each.result() for each in done] == [None, None]
    assert [one.customers.credit(name) for name in names] == [credit, credit]


def see(workers, address):
    workers.record_seen(address, proven=True)


def ban(workers, address):
    workers.ban(address, "test")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("change", [see, ban])
def test_two_validators_never_wait_for_each_others_workers(stores, change, known):
    names, both_are_at_it = ("cpc1", "cpc2"), threading.Barrier(2, timeout=60)
    opened = stores(), stores()
    for name in names if known else ():
        see(opened[0].workers, name)

    def cross(store, first, last):
        with store.database.write():
            change(store.workers, first)
            both_are_at_it.wait()  # each would have one row, and wait for the other's
            change(store.workers, last)
            store.workers.credit(last, pace=1e-9)

    with ThreadPoolExecutor() as threads:
        done = [
            threads.submit(cross, opened[0], *names),
            threads.submit(cross, opened[1], *names[::-1]),
        ]
        assert [each.result() for each in done] == [None, None]
    found = opened[0].workers.all()
    assert {one.address for one in found} == (set(names) if known or change is see else set())
    assert all((one.banned_at is not None) == (change is ban) for one in found)
    assert all(one.reputation.good == pytest.approx(1, abs=0.01) for one in found)


def test_two_validators_that_forfeit_the_same_workers_never_wait_for_each_other(arena, place):
    import psycopg

    one, two = arena(policy=NO_CHANCE), arena(policy=NO_CHANCE)
    workers = []
    for _ in range(2):
        workers.append(one.join())
        one.post()
        one.leave(workers[-1])
    first, second = (worker.key.address for worker in workers)
    held = {name: one.store.rewards.withheld(name) for name in (first, second)}
    assert all(held.values())
    crossed, at_it, pid = [], threading.Event(), pid_of(two.store)

    def cross():
        with two.store.database.write() as db:
            crossed.append(two.store.rewards.forfeit(db, second))
            at_it.set()
            crossed.append(two.store.rewards.forfeit(db, first))

    crossing = threading.Thread(target=cross)
    with psycopg.connect(place, autocommit=True) as watch, one.store.database.write() as db:
        forfeited = [one.store.rewards.forfeit(db, first)]
        crossing.start()
        wait_until(lambda: at_it.is_set() or waits_for_a_lock(watch, pid))
        forfeited.append(one.store.rewards.forfeit(db, second))
    crossing.join()
    assert forfeited == [held[first], held[second]]
    assert crossed == [0, 0]


def test_tasks_that_another_gives_out_are_left_out(arena, stores):
    one = arena(policy=NO_CHANCE)
    posted = [one.post() for _ in range(4)]
    first, second = stores(NO_CHANCE), stores(NO_CHANCE)
    with first.database.write(), second.database.write():
        pages = [store.tasks.pending(2, 0, lock=True) for store in (first, second)]
        found = [task.task_id for page in pages for task, _tried in page]
        assert found == posted
        assert len(second.tasks.claim([task for task, _tried in pages[1]])) == 2
        assert len(second.tasks.pending(9, 0)) == 2  # without a lock nobody is waited for
        rest = [task for task, _tried in pages[0]]
        assert second.tasks.lock(rest) == []
        assert first.tasks.lock(rest) == rest


def test_an_overdue_task_that_another_is_giving_up_is_left_to_it(arena):
    one, two = arena(policy=NO_CHANCE), arena(policy=NO_CHANCE)
    task = one.task(one.post())
    one.clock.now = two.clock.now = task.deadline
    with one.store.database.write(), two.store.database.write():
        assert one.store.tasks.overdue() == [task]
        assert two.store.tasks.overdue() == []
    one.pass_time(1)
    assert two.task(task.task_id).status == "failed"


def test_a_group_in_which_a_deadlock_was_is_not_written(place, stores):
    """What the change had decided in memory by then is not undone with it."""
    import psycopg

    one = stores()
    one.customers.add("alice")
    one.customers.add("bob")
    other = psycopg.connect(place, autocommit=True)
    other.execute("SET deadlock_timeout = '1h'")  # it is the other who finds it, and is ended
    pid = pid_of(one)

    def crosswise():
        one.customers.deposit("alice", 1, "test")
        crossing.start()
        wait_until(lambda: waits_for_a_lock(watch, pid_other))
        one.customers.deposit("bob", 1, "test")

    def cross():
        with other.transaction():
            other.execute("UPDATE customers SET credit = '7' WHERE name = 'bob'")
            other.execute("UPDATE customers SET credit = '7' WHERE name = 'alice'")

    crossing = threading.Thread(target=cross)

    async def run():
        groups = GroupCommit(one.database)
        futures = [
            groups.add(lambda: one.customers.deposit("alice", 5, "test")),
            groups.add(crosswise),
        ]
        return await asyncio.gather(*futures, return_exceptions=True), groups.error

    with psycopg.connect(place, autocommit=True) as watch, other:
        pid_other = other.info.backend_pid
        assert pid != pid_other
        made, error = asyncio.run(run())
        crossing.join()
    assert [type(each) for each in made] == [DatabaseLost, DatabaseLost]
    assert isinstance(error, DatabaseLost)
