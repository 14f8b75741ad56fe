"""What becomes of a task: offered, judged, closed once, whoever falls silent, declines or cheats."""

import pytest
from msgspec.structs import replace

from engine.poc_protocol.frames import JobResult, ResultData, kind_of
from engine.poc_protocol.strict_json import canonical
from engine.validator.job_kinds import own_seed
from engine.validator.market import dispatch
from engine.validator.market.actions import FetchData
from engine.validator.market.dispatch import MOST_JOBS, Timeouts
from engine.validator.market.matching import FEW_JOBS
from engine.validator.policy.audit_policy import Policy
from engine.validator.service import OUTBOX_FRAMES
from engine.validator.store.customers import NoCredit
from kernels.task import Task
from node_client.keys import PrivateKey
from tests.engine.validator.arena import CAPABILITIES, Worker, fall_silent

NO_CHANCE = Policy(least_full=0.0)


class Sleeper(Worker):
    """Takes jobs and does nothing."""

    def work(self, job):
        self.jobs[job.job_id] = (job, None)
        return []


class Decliner(Worker):
    """Says no."""

    code = "unsupported"

    def work(self, job):
        self.jobs[job.job_id] = (job, None)
        return [self.error(job, self.code)]


class Shy(Worker):
    """Commits, and does not open."""

    def open(self, asked):
        return []


class ShyLiar(Shy):
    """Commits to nonsense, and does not open."""

    def proof(self, commitment):
        return None

    def result(self, job, result_hash, proof):
        return super().result(job, "ab" * 32, proof)


class Guest:
    """Knows the guide's two messages, and nothing else."""

    def __init__(self, arena, key, connection, right=True):
        self.arena, self.key, self.connection, self.right = arena, key, connection, right
        self.frames, self.closed = [], None

    def take(self, frame):
        self.frames.append(kind_of(frame))
        if kind_of(frame) != "job":
            return []
        root = self.arena.kinds.job(frame.payload).run(self.arena.device).result_hash.hex()
        return [
            JobResult(
                job_id=frame.job_id,
                worker_address=self.key.address,
                result_hash=root if self.right else "cd" * 32,
                proof=None,
            )
        ]


def test_a_task_is_done_checked_closed_and_paid(arena):
    arena = arena()
    worker = arena.join()
    posted = arena.post(reward=1000)
    task = arena.task(posted)
    assert task.status == "completed"
    (job,) = arena.store.jobs.of_task(posted)
    assert job.state == "accepted"
    assert len(job.leaves) == 32
    assert [verdict.accepted for verdict in worker.verdicts] == [True]
    assert arena.store.rewards.withheld(worker.key.address) == 1000
    assert arena.store.customers.credit("alice") == 10**9 - 1000
    # Anybody can compute it again, from what the task says.
    seed = bytes.fromhex(own_seed(arena.store.tasks.payload(posted)["seed"], job.job_id))
    assert arena.device.compute(Task(seed, 64)).root.hex() == job.result_hash


def test_no_two_jobs_have_the_same_seed(arena):
    arena = arena()
    workers = [arena.join(Sleeper) for _ in range(2)]
    same = {"challenge_type": "synthetic", "seed": "aabb", "matrix_size": 16}
    for _ in range(4):
        arena.post(same)
    seeds = [job.payload["seed"] for one in workers for job, _ in one.jobs.values()]
    assert len(seeds) == len(set(seeds)) == 4


def test_who_was_cut_off_with_a_small_job_gets_a_large_one_still(arena):
    """Its speed as measured, a few hundred multiply-adds a second, was the time of the outage."""
    arena = arena()
    worker = arena.join(Sleeper)
    small = arena.post({"challenge_type": "synthetic", "seed": "aa", "matrix_size": 16})
    arena.pass_time(5.0)
    (job, _), *_ = worker.jobs.values()
    arena.hear(worker, Worker.work(worker, job))
    assert arena.task(small).status == "completed"
    large = arena.post({"challenge_type": "synthetic", "seed": "bb", "matrix_size": 256})
    assert arena.task(large).status == "in_progress"


def test_tasks_that_nobody_can_do_delay_no_other_however_many_they_are(arena, monkeypatch):
    monkeypatch.setattr(dispatch, "LOOK_AHEAD", 32)
    arena = arena()
    for _ in range(45):
        arena.post(seconds=100)
    small = {"challenge_type": "synthetic", "seed": "aa", "matrix_size": 16}
    first, second = arena.post(small, seconds=200), arena.post(small, seconds=200)
    arena.join(capabilities=replace(CAPABILITIES, matrix_size=32, jobs=1))
    for _ in range(6):
        arena.pass_time(0.1)
    assert [arena.task(one).status for one in (first, second)] == ["completed"] * 2
    new = arena.post(small, seconds=50)  # whose deadline comes before all of theirs
    for _ in range(3):
        arena.pass_time(0.1)
    assert arena.task(new).status == "completed"


def test_tasks_wait_for_a_worker_and_the_next_deadline_comes_first(arena):
    arena = arena()
    late, soon = arena.post(seconds=5000), arena.post(seconds=50)
    assert arena.task(late).status == "pending"
    one_at_a_time = replace(CAPABILITIES, jobs=1)
    worker = arena.join(Sleeper, capabilities=one_at_a_time)
    assert [job.task_id for job, _ in worker.jobs.values()] == [soon]
    assert arena.task(soon).status == "in_progress"


def test_a_worker_gets_only_what_it_can_do(arena):
    arena = arena()
    small = replace(CAPABILITIES, matrix_size=63)
    other_kind = replace(CAPABILITIES, kinds=("matmul",))
    weak = replace(CAPABILITIES, product=64**3 - 1)
    for capabilities in (small, other_kind, weak):
        arena.join(capabilities=capabilities)
    posted = arena.post()
    assert arena.task(posted).status == "pending"
    arena.join()
    assert arena.task(posted).status == "completed"


def test_without_credit_nothing_is_posted(arena):
    arena = arena()
    with pytest.raises(NoCredit):
        arena.post(reward=10**9 + 1)
    assert arena.store.tasks.page(None, None, 10, 0).total == 0
    assert arena.store.customers.credit("alice") == 10**9


def test_a_silent_worker_loses_the_task_to_another(arena):
    arena = arena(timeouts=Timeouts(lease=60))
    sleeper = arena.join(Sleeper)
    posted = arena.post()
    worker = arena.join()
    arena.pass_time(59)
    assert arena.task(posted).status == "in_progress"
    arena.pass_time(2)
    assert arena.task(posted).status == "completed"
    assert len(sleeper.cancelled) == 1
    book = arena.store.workers
    assert (
        book.score(book.find(sleeper.key.address)) < 0.5 < book.score(book.find(worker.key.address))
    )


def test_a_worker_that_comes_back_in_time_gets_the_same_job(arena):
    arena = arena()
    sleeper = arena.join(Sleeper)
    posted = arena.post()
    (job_id,) = sleeper.jobs
    arena.leave(sleeper)
    arena.pass_time(29)
    again = arena.join(key=sleeper.key)
    assert list(again.jobs) == [job_id]
    assert arena.task(posted).status == "completed"


def test_a_worker_that_does_not_come_back_loses_it(arena):
    arena = arena()
    sleeper = arena.join(Sleeper)
    posted = arena.post()
    arena.leave(sleeper)
    worker = arena.join()
    assert arena.task(posted).status == "in_progress"
    arena.pass_time(31)
    assert arena.task(posted).status == "completed"
    assert len(worker.jobs) == 1


@pytest.mark.parametrize("gone", [True, False], ids=["cut off", "hangs"])
def test_an_outage_with_many_jobs_at_hand_is_one_failure(arena, gone):
    """Whoever was away for longer than the grace with a flood of jobs gets work again."""
    arena = arena()
    worker = arena.join(Sleeper, capabilities=replace(CAPABILITIES, jobs=64))
    arena.store.workers.credit(worker.key.address, pace=1e-12)
    posted = [arena.post() for _ in range(20)]
    assert len(worker.jobs) == 20
    if gone:
        arena.leave(worker)
    arena.pass_time(31 if gone else 61)
    if not gone:
        arena.leave(worker)
    arena.join(key=worker.key)
    arena.pass_time(31)  # who failed a task waits for it
    assert {arena.task(one).status for one in posted} == {"completed"}


def test_a_task_fails_at_its_deadline_and_the_reward_comes_back(arena):
    arena = arena()
    sleeper = arena.join(Sleeper)
    tasks = [arena.post(seconds=40), arena.post(seconds=40), arena.post(seconds=40)]
    arena.pass_time(41)
    assert {arena.task(task).status for task in tasks} == {"failed"}
    assert arena.task(tasks[0]).reason == "its deadline passed"
    assert arena.store.customers.credit("alice") == 10**9
    assert sorted(sleeper.cancelled) == sorted(sleeper.jobs)


def test_a_task_that_nobody_can_do_fails_in_the_end(arena):
    arena = arena(timeouts=Timeouts(attempts=3, again=30))
    arena.join(Decliner)
    posted = arena.post()
    for _ in range(2):
        assert arena.task(posted).status == "pending"
        arena.pass_time(31)
    assert arena.task(posted).status == "failed"
    assert "3 attempts" in arena.task(posted).reason


def test_busy_is_no_attempt(arena):
    class Busy(Decliner):
        code = "busy"

    arena = arena(timeouts=Timeouts(attempts=2))
    arena.join(Busy)
    posted = arena.post()
    for _ in range(5):
        arena.pass_time(31)
    assert arena.task(posted).attempts == 0
    arena.join()
    assert arena.task(posted).status == "completed"


def test_silence_after_the_commitment_is_no_way_out(arena):
    arena = arena(policy=NO_CHANCE)
    liar = arena.join(ShyLiar)
    posted = arena.post()
    assert arena.full_checks == 0
    arena.pass_time(61)
    assert arena.full_checks == 1
    assert "is banned" in arena.market_says(liar.key)
    assert arena.task(posted).status == "pending"


def test_who_crashes_after_an_honest_commitment_is_accepted_all_the_same(arena):
    arena = arena(policy=NO_CHANCE)
    worker = arena.join(Shy)
    posted = arena.post()
    arena.leave(worker)
    arena.pass_time(61)
    assert arena.task(posted).status == "completed"
    assert arena.store.rewards.withheld(worker.key.address) == 1000


def test_a_cut_between_commitment_and_opening_costs_nothing(arena):
    arena = arena(policy=NO_CHANCE)
    worker = arena.join(Shy)
    posted = arena.post()
    arena.leave(worker)
    arena.pass_time(10)
    arena.join(key=worker.key)
    assert arena.task(posted).status == "completed"
    assert arena.full_checks == 0


def test_who_is_caught_is_banned_and_forfeits(arena):
    arena = arena(policy=NO_CHANCE)
    worker = arena.join()
    for _ in range(3):
        arena.post(reward=1000)
    assert arena.store.rewards.withheld(worker.key.address) == 3000
    arena.leave(worker)
    liar = arena.join(Liar, key=worker.key)
    posted = arena.post(reward=500)
    assert liar.closed
    assert arena.store.rewards.withheld(worker.key.address) == 0
    assert arena.store.customers.credit("alice") == 10**9 - 500  # the open task's
    assert arena.task(posted).status == "pending"
    again = arena.join(key=worker.key)
    assert "banned" in again.closed
    arena.store.workers.pardon(worker.key.address)
    arena.join(key=worker.key)
    arena.pass_time(31)  # it has tried this very task before
    assert arena.task(posted).status == "completed"


class Liar(Worker):
    """Hands in nonsense."""

    def proof(self, commitment):
        return None

    def result(self, job, result_hash, proof):
        return super().result(job, "ab" * 32, proof)


def test_a_guest_is_served_and_computed_again_in_full(arena):
    arena = arena()
    key = PrivateKey.generate()
    guest = arena.join(Guest, key=key)
    posted = arena.post()
    assert arena.task(posted).status == "pending"
    arena.pass_time(4)
    assert arena.task(posted).status == "completed"
    assert arena.full_checks == 1
    assert set(guest.frames) == {"challenge", "job"}  # nothing that it does not know
    # It is paid once the address has said hello, and not before.
    arena.pass_time(2 * 86_400)
    assert arena.store.rewards.due() == {}
    arena.join(Sleeper, key=key)
    assert arena.store.rewards.due() == {key.address: 1000}


def test_a_guest_that_lies_gets_nobody_banned(arena):
    arena = arena()
    victim = arena.join(Sleeper)
    guest = arena.join(Guest, key=victim.key, right=False)
    arena.post()
    arena.leave(victim)
    arena.post()
    arena.pass_time(4)
    assert guest.closed
    assert arena.store.workers.find(victim.key.address).banned_at is None


def test_without_guests_only_who_says_hello_gets_work(arena):
    arena = arena(guests=False)
    guest = arena.join(Guest)
    arena.post()
    arena.pass_time(100)
    assert guest.frames == ["challenge"]


def test_a_job_counts_only_on_its_own_connection(arena):
    arena = arena()
    sleeper = arena.join(Sleeper)
    posted = arena.post()
    (job, _) = next(iter(sleeper.jobs.values()))
    thief = arena.join(Sleeper)
    commitment = thief.commit(arena.kinds.job(job.payload))
    arena.hear(thief, [thief.result(job, commitment.root.hex(), None)])
    assert arena.task(posted).status == "in_progress"
    assert [verdict.accepted for verdict in thief.verdicts] == [False]


def test_a_result_whose_signature_does_not_fit_is_none(arena):
    class Careless(Worker):
        def result(self, job, result_hash, proof):
            frame = super().result(job, result_hash, proof)
            return replace(frame, proof=None)

    arena = arena()
    arena.join(Careless)
    posted = arena.post()
    assert arena.task(posted).status == "pending"
    assert "signature" in arena.store.jobs.of_task(posted)[0].reason


def test_what_was_open_when_the_process_was_killed_is_taken_up(arena):
    first = arena(policy=NO_CHANCE)
    sleeper, shy = first.join(Sleeper), first.join(Shy)
    tasks = [first.post() for _ in range(4)]
    waiting = first.post()
    states = {job.state for task in tasks for job in first.store.jobs.of_task(task)}
    assert states == {"out", "committed"}
    fall_silent(first)  # nobody said goodbye
    second = arena(policy=NO_CHANCE, clock=first.clock)
    assert second.full_checks == 2  # those that were committed
    second.join(key=sleeper.key)
    second.join(key=shy.key)
    assert {second.task(task).status for task in [*tasks, waiting]} == {"completed"}
    assert second.store.tasks.counts() == {"completed": 5}
    for task in tasks:
        assert [job.state for job in second.store.jobs.of_task(task)] == ["accepted"]


class Bearer(Sleeper):
    """Hands its product in, and never sends the bytes that it speaks of."""

    def result(self, job, result_hash, proof):
        data = ResultData(sha256="cd" * 32, size=64 * 64 * 4)
        return replace(super().result(job, result_hash, proof), data=data)


MATMUL = {
    "challenge_type": "matmul",
    "m": 2,
    "k": 2,
    "n": 2,
    "a": {"inline": "AQIDBA=="},
    "b": {"inline": "AQIDBA=="},
}


def test_a_result_that_is_said_again_is_fetched_once_a_connection(arena):
    one = arena()
    worker = one.join(Bearer)
    one.post(MATMUL)
    ((job, _),) = worker.jobs.values()
    said = worker.result(job, "ab" * 32, None)
    first = one.market.received(worker.connection, said)
    again = [one.market.received(worker.connection, said) for _ in range(3)]
    assert [type(action) for action in first] == [FetchData]
    assert again == [[], [], []]
    one.join(Sleeper)  # so that the next connection has another number
    one.leave(worker)
    back = one.join(Bearer, key=worker.key)
    ((job, _),) = back.jobs.values()
    assert [type(action) for action in one.market.received(back.connection, said)] == [FetchData]


def test_nobody_takes_all_tasks_whatever_it_says_that_it_takes(arena):
    one = arena()
    greedy = one.join(Sleeper, capabilities=replace(CAPABILITIES, jobs=10**6))
    for number in range(MOST_JOBS + 8):
        one.post({"challenge_type": "synthetic", "seed": f"{number:04x}", "matrix_size": 64})
    assert len(greedy.jobs) == FEW_JOBS  # nobody has seen yet how fast it is
    one.store.workers.credit(greedy.key.address, pace=1e-12)
    one.pass_time(0.25)
    assert len(greedy.jobs) == MOST_JOBS < OUTBOX_FRAMES


def test_a_slow_worker_has_the_next_job_and_no_more(arena):
    one = arena()
    slow = one.join(Sleeper, capabilities=replace(CAPABILITIES, jobs=64))
    one.store.workers.credit(slow.key.address, pace=1 / 64**3)  # a second each
    for number in range(8):
        one.post({"challenge_type": "synthetic", "seed": f"{number:04x}", "matrix_size": 64})
    assert len(slow.jobs) == FEW_JOBS


def misread(one, changed):
    """A task whose payload is kept in a form that workers read differently, as older versions did."""
    task_id = one.post()
    with one.store.database.write() as db:
        for table in ("tasks", "jobs"):  # a job has its own where it has its own seed
            db.execute(
                f"UPDATE {table} SET payload = rtrim(payload, '}}') || ? WHERE task_id = ?",
                (f",{changed}}}", task_id),
            )
    one.store.jobs.forget()  # as a validator does that takes them over
    return task_id


class Rewriter(Worker):
    """Reads the payload as its own JSON reader does, and signs that."""

    def result(self, job, result_hash, proof):
        seen = job.payload | {"note": None}
        return super().result(replace(job, payload=seen), result_hash, proof)


@pytest.mark.parametrize("changed", ['"note":Infinity', '"iterations":2,"iterations":1', '"a":[]'])
def test_what_the_validator_itself_may_have_misread_is_refunded_and_nobody_is_blamed(
    arena, changed
):
    """The attack: 15 tasks, each refunded, and the reputation of an honest worker is gone."""
    one = arena()
    worker = one.join(Rewriter)
    score = one.store.workers.score(one.store.workers.find(worker.key.address))
    worker.awake = False
    for _ in range(15):
        task_id = misread(one, changed)
        (job,) = one.store.jobs.of_task(task_id)
        sent = Worker.result(worker, Sent(one, job), "ab" * 32, None)
        one.perform(one.market.received(worker.connection, sent))
        assert one.task(task_id).status == "failed"
        assert "misread" in one.task(task_id).reason
    assert one.store.customers.credit("alice") == 10**9
    known = one.store.workers.find(worker.key.address)
    assert one.store.workers.score(known) == score
    assert known.banned_at is None


class Sent:
    """A job as a worker read it: with null for what is no number."""

    def __init__(self, one, job):
        self.job_id, self.task_id = job.job_id, job.task_id
        self.payload = one.store.jobs.payload(job.job_id) | {"note": None}


def test_tasks_of_an_older_version_are_brought_into_form_or_refunded(arena):
    one = arena()
    readable = misread(one, '"a":[1]')
    lost = misread(one, '"note":Infinity')
    one.perform(one.market.restore())
    assert one.task(lost).status == "failed"
    assert one.task(readable).is_open
    text = one.store.tasks.text(readable)
    assert text == canonical(one.store.tasks.payload(readable))
    assert one.store.customers.credit("alice") == 10**9 - 1000


def test_a_signature_that_does_not_fit_is_the_workers_fault_where_the_payload_is_as_sent(arena):
    one = arena()
    worker = one.join(Rewriter)
    task_id = one.post()
    (job, *_) = one.store.jobs.of_task(task_id)
    assert job.reason == "its signature does not fit"
    known = one.store.workers.find(worker.key.address)
    assert known.reputation.bad > 0
