"""Validators and payers as processes over one PostgreSQL, killed and cut off."""

import os
import signal
import subprocess

import pytest

from engine.validator.store.database import Store
from engine.validator.store.transfers import Transfers
from node_client.devnet import DevnetServer
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC
from tests.engine.validator.arena import Arena, Clock
from tests.engine.validator.live import LiveValidator, LiveWorker, events
from tests.engine.validator.test_market import MATMUL
from tests.engine.validator.test_payouts import earn
from tests.postgres import Cluster
from tests.processes import ENGINE, PATIENCE_SECONDS, end, started, wait_until

pytestmark = pytest.mark.slow

CPC = UNITS_PER_CPC


@pytest.fixture
def own_cluster():
    """A server that the test may stop."""
    one = Cluster()
    one.start()
    yield one
    one.close()


class Crowd:
    """Validators over one database and one directory, and workers at each."""

    def __init__(self, place, directory, *, validators, workers):
        directory.mkdir(exist_ok=True)
        alone = ("--second-worker", "0")  # a second worker's job of the task is accepted, too
        self.validators = [LiveValidator(directory, *alone, place=place) for _ in range(validators)]
        self.headers = self.validators[0].customer()
        for one in self.validators:
            one.start()
        self.workers = [
            LiveWorker(self.validators[n % validators].url, directory / f"w{n}", delay=0.02)
            for n in range(workers)
        ]
        for worker in self.workers:
            worker.start()
        self.posted = []

    def post(self, count):
        """Tasks of two kinds, to each validator in turn."""
        for number in range(count):
            seed = {"challenge_type": "synthetic", "seed": f"{len(self.posted):04x}"}
            payload = MATMUL if number % 5 == 4 else seed | {"matrix_size": 48}
            alive = [one for one in self.validators if one.process.poll() is None]
            self.posted.append(alive[number % len(alive)].post(self.headers, payload, reward="1"))

    def close(self):
        try:
            for one in self.validators:
                one.stop()
        finally:
            for worker in self.workers:
                worker.stop()
            end(*(one.process for one in self.validators if one.process is not None))

    def check(self):
        """Each task was answered once, and the money adds up."""
        with self.validators[0].store() as store:
            assert store.tasks.counts() == {"completed": len(self.posted)}
            for task_id in self.posted:
                states = [job.state for job in store.jobs.of_task(task_id)]
                assert states.count("accepted") == 1, states
                assert set(states) <= {"accepted", "dropped"}
            held = sum(store.rewards.withheld(one.key.address) for one in self.workers)
            assert held == len(self.posted) * CPC
            assert store.customers.credit("alice") == 10**21 - held
            assert not any(one.banned_at for one in store.workers.all())
        for one in self.validators:
            assert "Traceback" not in one.log()


def test_one_of_two_validators_is_killed_and_the_other_does_its_tasks(cluster, tmp_path):
    crowd = Crowd(cluster.new_database(), tmp_path / "v", validators=2, workers=6)
    try:
        crowd.post(40)
        first, second = crowd.validators
        wait_until(lambda: second.total("completed") >= 10)
        first.kill()
        crowd.post(10)
        wait_until(lambda: second.total("completed") == 50, second.log)
        crowd.check()
        done = [
            sum(line["event"] == "job_accepted" for line in events(one.log()))
            for one in crowd.validators
        ]
        assert all(done), done
    finally:
        crowd.close()


def test_a_server_that_crashes_is_waited_for_and_nothing_is_lost(own_cluster, tmp_path):
    crowd = Crowd(own_cluster.new_database(), tmp_path / "v", validators=2, workers=4)
    try:
        crowd.post(20)
        wait_until(lambda: crowd.validators[0].total("completed") >= 5)
        own_cluster.crash()
        for one in crowd.validators:
            wait_until(lambda one=one: "database_lost" in one.log())
        own_cluster.start()
        for one in crowd.validators:
            wait_until(lambda one=one: "database_back" in one.log())
        crowd.post(10)
        wait_until(lambda: crowd.validators[0].total("completed") == 30)
        crowd.check()
        for one in crowd.validators:
            said = [line["event"] for line in events(one.log())]
            assert said.count("database_lost") == said.count("database_back") == 1
    finally:
        crowd.close()


FULL = """
CREATE FUNCTION is_full() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE 'No space left on device' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER is_full BEFORE INSERT ON jobs FOR EACH ROW EXECUTE FUNCTION is_full();
"""


def test_a_server_whose_disk_is_full_is_asked_less_and_less_and_loses_nothing(cluster, tmp_path):
    place = cluster.new_database()
    crowd = Crowd(place, tmp_path / "v", validators=1, workers=1)
    (one,) = crowd.validators

    def lost():
        return [line["time"] for line in events(one.log()) if line["event"] == "database_lost"]

    try:
        with pytest.importorskip("psycopg").connect(place, autocommit=True) as db:
            db.execute(FULL)
            crowd.post(5)
            wait_until(lambda: len(lost()) >= 4, one.log)
            times = lost()
            assert times[3] - times[2] > 2
            assert "No space left" in one.log()
            db.execute("DROP FUNCTION is_full CASCADE")
        wait_until(lambda: one.total("completed") == 5, one.log)
        crowd.check()
    finally:
        crowd.close()


def test_a_payer_is_killed_and_the_one_that_waits_pays_the_rest_once(cluster, tmp_path):
    place = cluster.new_database()
    arena = Arena(tmp_path, place=place, clock=Clock(1_700_000_000.0))
    arena.store.customers.add("alice")
    arena.store.customers.deposit("alice", 10**24, "test")
    workers = []
    for number in range(6):
        workers.append(earn(arena, (7 + number) * CPC // 4))
        arena.leave(workers[-1])
    owed = arena.store.rewards.due()
    arena.store.close()
    secret = os.urandom(32)
    payer = PrivateKey(secret)
    keys = tmp_path / "keys"
    environment = os.environ | {"CPC_KEYS": str(keys), "CPC_KEY_PASSPHRASE": ""}
    with DevnetServer(block_time=1.0, balances={payer.address: 1000 * CPC}) as devnet:
        add_key(secret, environment)
        pay = [
            *ENGINE, "validator", "payouts", "--pay", "--from", "validator", "--depth", "3",
            "--store", place, "--node", devnet.url, "--accept-burn", "1000000",
        ]  # fmt: skip
        with (
            Store.open(place) as store,
            started(pay, env=environment) as first,
        ):
            transfers = Transfers(store.database, store.clock)
            wait_until(lambda: transfers.in_state("signed"))
            follow = [*pay, "--follow"]
            with started(follow, env=environment, stderr=subprocess.PIPE, text=True) as second:
                assert "another process makes payouts" in second.stderr.readline()
                assert transfers.in_state("signed")
                first.send_signal(signal.SIGKILL)
                first.wait()
                assert second.wait(PATIENCE_SECONDS) == 0, second.stderr.read()
            assert not transfers.in_state("signed")
            assert not transfers.in_state("planned")
            paid = {
                one.key.address: devnet.chain.account(one.key.address).balance for one in workers
            }
            assert paid == owed
            assert len(paid) == 6


def add_key(secret, environment):
    """Keep it as `validator`."""
    done = subprocess.run(
        [*ENGINE, "keys", "import", "validator", "--key-file", "-"],
        env=environment, input=secret.hex(), text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
