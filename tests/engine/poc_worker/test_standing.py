"""Validators that reject right results and cut connections get no work for a while."""

from dataclasses import replace

import pytest
from websockets.exceptions import ConnectionClosed

from engine.poc_protocol import frames
from tests.engine.poc_worker.conftest import IMPATIENT, job, receive, send, synthetic
from tests.processes import PATIENCE_SECONDS, wait_until

NONCE = "5a" * 32
SHORT = replace(IMPATIENT, rest=0.5)


def judge(connection, name, *, accepted):
    """A job, its result, and a verdict about it."""
    send(connection, job(name, synthetic(seed=name.encode().ljust(32))))
    assert receive(connection)["type"] == "job_result"
    send(connection, frames.Verdict(job_id=name, accepted=accepted, reason="wrong, it says"))


def closed_by_the_worker(connection):
    with pytest.raises(ConnectionClosed) as closed:
        connection.recv(timeout=PATIENCE_SECONDS)
    return closed.value.rcvd.code


def rests(running):
    return [one for one in running.events("trouble") if one["kind"] == "validator_rests"]


def test_a_validator_that_rejects_right_results_rests_longer_each_time(start, validator):
    running = start(validator.url, patience=SHORT, failures=2)
    connection, _ = validator.accept(challenge=NONCE)
    for number in range(3):
        judge(connection, f"job-{number}", accepted=False)
    assert closed_by_the_worker(connection) == 1008
    (told,) = wait_until(lambda: rests(running))
    assert told["subject"] == validator.url
    assert not told["stops"]
    assert (
        "3 rejected results and cut connections within 1 h 0 min, and 2 is the" in told["message"]
    )
    assert "it rejected a result: wrong, it says" in told["message"]
    assert "--validator" in told["advice"]
    connection, _ = validator.accept(challenge=NONCE)
    wait_until(lambda: running.events("trouble_over"))
    judge(connection, "once more", accepted=False)  # on probation
    assert closed_by_the_worker(connection) == 1008
    (*_, told) = wait_until(lambda: rests(running)[1:])
    assert "gets no work for 1 s: it failed again before it accepted a result" in told["message"]
    assert [one["seconds"] for one in running.events("validator_down")] == [0.5, 1.0]
    validator.accept()


def test_accepted_results_outweigh_rejected_ones(start, validator):
    running = start(validator.url, patience=SHORT, failures=1)
    connection, _ = validator.accept(challenge=NONCE)
    for number in range(8):
        judge(connection, f"job-{number}", accepted=number % 2 == 1)
    wait_until(lambda: len(running.events("result_accepted")) == 4)
    assert rests(running) == []


def test_a_connection_counts_that_breaks_while_a_job_is_at_work(start, validator, executor):
    running = start(validator.url, patience=SHORT, failures=1)
    for _ in range(3):  # with nothing at work
        connection, _ = validator.accept()
        connection.socket.close()
    connection, _ = validator.accept()
    executor.gate.clear()
    send(connection, job("one"))
    wait_until(lambda: running.events("job_taken"))
    connection.close()  # as the protocol has it
    for _ in range(2):
        assert rests(running) == []
        connection, _ = validator.accept()
        connection.socket.close()
    (told,) = wait_until(lambda: rests(running))
    assert "2 rejected results and cut connections" in told["message"]
    assert "the connection was cut" in told["message"]
    executor.gate.set()
    connection, _ = validator.accept()
    send(connection, job("one"))
    assert receive(connection)["type"] == "job_result"
