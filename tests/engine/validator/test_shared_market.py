"""Several validators over one database: who has what, who takes over, who pays."""

import os
import threading

import pytest

from engine.runtime.database import Database
from engine.runtime.errors import BadInput, DatabaseError
from engine.validator.options import StoreOptions
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.backend import AnotherLeads, DatabaseLost
from engine.validator.store.database import Store
from engine.validator.store.schema import SCHEMA
from engine.validator.store.validators import BEAT_SECONDS
from tests.engine.validator.arena import Arena, Worker, fall_silent
from tests.engine.validator.sessions import pid_of, waits_for_a_lock
from tests.processes import wait_until

NO_CHANCE = Policy(least_full=0.0)


class Sleeper(Worker):
    """Takes jobs and does nothing."""

    def work(self, job):
        self.jobs[job.job_id] = (job, None)
        return []


@pytest.fixture
def place(cluster):
    return cluster.new_database()


def cut_off(cluster, store):
    """End the session at the server, as a network that is cut."""
    pid = store.database.read("SELECT pg_backend_pid() AS pid")[0]["pid"]
    with cluster.connect() as db:
        db.execute("SELECT pg_terminate_backend(%s)", (pid,))
        wait_until(
            lambda: (
                not db.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchall()
            )
        )


def test_a_task_that_another_is_claiming_is_passed_over_at_once(arena, stores):
    one = arena(policy=NO_CHANCE)
    task = one.task(one.post())
    first, second = stores(NO_CHANCE), stores(NO_CHANCE)
    with first.database.write():
        assert first.tasks.claim([task])
        with second.database.write():  # would wait for ever for a lock that is held here
            assert not second.tasks.claim([task])
    with second.database.write():
        assert not second.tasks.claim([task])


def test_workers_of_two_validators_do_the_tasks_of_both(arena, tmp_path, place):
    one, two = arena(policy=NO_CHANCE), arena(policy=NO_CHANCE)
    first, second = one.join(Sleeper), two.join()
    posted = [one.post() for _ in range(6)]
    assert len(first.jobs) == 2
    two.pass_time(1)
    assert {two.task(task).status for task in posted} == {"in_progress", "completed"}
    assert two.store.tasks.counts() == {"in_progress": 2, "completed": 4}
    assert len(second.verdicts) == 4
    two.pass_time(3600)  # past the deadline: those two are the first one's to give up
    assert two.store.tasks.counts() == {"in_progress": 2, "completed": 4}
    one.pass_time(3600)
    assert one.store.tasks.counts() == {"failed": 2, "completed": 4}
    assert one.store.customers.credit("alice") == 10**9 - 4000


def test_who_was_silent_is_taken_over_and_can_write_nothing_any_more(arena):
    one, two = arena(policy=NO_CHANCE), arena(policy=NO_CHANCE)
    sleeper, honest = one.join(Sleeper), two.join()
    lost = one.post()
    fall_silent(one)
    two.pass_time(BEAT_SECONDS)
    assert {job.state for job in two.store.jobs.of_task(lost)} == {"out"}
    with pytest.raises(DatabaseLost):
        one.pass_time(1)
    again = two.join(key=sleeper.key)  # it dials the other one, and gets the same job
    assert two.task(lost).status == "completed"
    assert len(two.store.jobs.of_task(lost)) == 1
    assert [verdict.accepted for verdict in again.verdicts] == [True]
    assert honest.closed is None
    one.store.begin_anew()
    one.perform(one.market.begin_anew())
    third = one.join()
    assert one.task(one.post()).status == "completed"
    assert len(third.verdicts) == 1


def test_a_session_that_ends_between_two_changes_is_made_anew(cluster, stores):
    one = stores(NO_CHANCE)
    cut_off(cluster, one)
    one.customers.add("alice")
    cut_off(cluster, one)
    assert one.customers.deposit("alice", 5, "test") == 5

    def deposit_and_lose():
        with one.database.write():
            one.customers.deposit("alice", 7, "test")
            cut_off(cluster, one)

    with pytest.raises(DatabaseLost, match="does not answer"):
        deposit_and_lose()
    assert one.customers.credit("alice") == 5


def test_who_leaves_while_another_takes_over_leaves_task_and_job_together(arena, place):
    import psycopg

    gone, leaving, heir = (arena(policy=NO_CHANCE) for _ in range(3))
    for one in (gone, leaving):
        one.join(Sleeper)
        one.post()
    gone.store.validators.leave()
    with psycopg.connect(place, autocommit=True) as watch, psycopg.connect(place) as holder:
        holder.execute("SELECT 1 FROM tasks FOR UPDATE")
        heirs, leavers = pid_of(heir.store), pid_of(leaving.store)
        adopt = threading.Thread(target=heir.store.validators.take_over)
        adopt.start()
        wait_until(lambda: waits_for_a_lock(watch, heirs))
        leave = threading.Thread(target=leaving.store.validators.leave)
        leave.start()
        wait_until(lambda: not leave.is_alive() or waits_for_a_lock(watch, leavers))
        holder.rollback()
        adopt.join()
        leave.join()
    owners = heir.store.database.read(
        "SELECT t.validator AS task, j.validator AS job FROM tasks t JOIN jobs j"
        " ON j.task_id = t.task_id"
    )
    assert [row["task"] for row in owners] == [row["job"] for row in owners]
    heir.store.validators.take_over()
    ours = (
        "SELECT 1 FROM tasks t JOIN jobs j ON j.task_id = t.task_id AND j.validator = t.validator"
    )
    mine = heir.store.database.read(f"{ours} WHERE t.validator = ?", heir.store.validators.id)
    assert len(mine) == 2


def test_one_pays_and_another_takes_its_place_when_its_session_ends(cluster, stores):
    one, two = stores(), stores()
    with one.database.leading():
        with pytest.raises(AnotherLeads), two.database.leading():
            pass
        cut_off(cluster, one)
        with two.database.leading(), pytest.raises(DatabaseLost):
            one.customers.add("alice")  # it does not come back as the leader that it was
    assert one.customers.all() == []


def test_validators_of_one_market_have_one_policy(stores):
    stores(NO_CHANCE)
    with pytest.raises(BadInput, match="policy"):
        stores(Policy(least_full=0.5))
    assert stores().policy == NO_CHANCE


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://alice:secret@db/market", "password"),
        ("postgresql://alice@db/market?password=secret", "password"),
        ("postgresql://alice@db/market?sslpassword=secret", "password"),
        ("postgresql://alice@db/market?options=-csynchronous_commit%3Doff", "options"),
        ("market.sqlite", "URL"),
        ("", "URL"),
        ("postgresql://[", "URL"),
        ("postgresql:///market?host=/nowhere", "does not answer"),
    ],
)
def test_a_url_that_cannot_be_used_is_said_without_its_password(cluster, url, said):
    with pytest.raises(BadInput, match=said) as caught:
        StoreOptions(store=url).open_store()
    assert "secret" not in f"{caught.value} {caught.value.advice}"


@pytest.mark.parametrize(
    ("made", "user", "said"),
    [
        ("CREATE TABLE meta (a INTEGER)", "cpc", "does not exist"),
        ("CREATE TABLE meta (key TEXT, value TEXT)", "cpc", "format None"),
        ("CREATE ROLE nobody LOGIN", "nobody", "permission denied"),
    ],
)
def test_a_database_that_is_another_programs_is_refused_with_advice(cluster, made, user, said):
    url = cluster.new_database()
    with pytest.importorskip("psycopg").connect(url) as db:
        db.execute(made)
    with pytest.raises(DatabaseError, match=said) as caught:
        Store.open(url.replace("cpc@", f"{user}@"))
    assert caught.value.advice


def test_a_database_that_cannot_hold_every_text_is_refused(cluster):
    with cluster.connect() as db:
        db.execute("CREATE DATABASE narrow ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(DatabaseError, match="LATIN1"):
        Store.open(cluster.url("narrow"))


def test_the_servers_password_is_left_to_no_child(cluster, monkeypatch):
    rules = cluster.folder / "data" / "pg_hba.conf"
    rules.write_text("local sealed all scram-sha-256\n" + rules.read_text())
    with cluster.connect() as db:
        db.execute("CREATE DATABASE sealed")
        db.execute("ALTER ROLE cpc PASSWORD 'secret'")
        db.execute("SELECT pg_reload_conf()")
    monkeypatch.setenv("PGPASSWORD", "wrong")
    wait_until(lambda: not opens(cluster.url("sealed")), "the server to ask for it")
    monkeypatch.setenv("PGPASSWORD", "secret")
    with Store.open(cluster.url("sealed")) as one:
        assert "PGPASSWORD" not in os.environ
        cut_off(cluster, one)
        one.customers.add("alice")  # over another connection


def opens(url):
    try:
        Store.open(url).close()
    except DatabaseLost:
        return False
    return True


def test_text_that_postgresql_does_not_take_finds_nothing(stores):
    assert stores().tasks.page(None, "a\0b", 10, 0).total == 0
    assert stores().tasks.task("\0") is None


def test_a_file_of_the_first_format_is_brought_up(tmp_path):
    old = SCHEMA.replace(",\n    validator TEXT, home TEXT", "").replace(
        ",\n    validator TEXT", ""
    )
    with Database.open(tmp_path / "validator.sqlite", old, version=1) as database:
        assert not any(
            row["name"] == "validator" for row in database.read("PRAGMA table_info(jobs)")
        )
        with database.write() as db:
            db.execute("INSERT INTO customers VALUES ('alice', NULL, '1000', 0)")
    one = Arena(tmp_path, policy=NO_CHANCE)
    one.join()
    assert one.task(one.post(customer="alice")).status == "completed"
    assert one.store.customers.credit("alice") == 0
    one.close()
