"""Receipts of tasks that ended right: valid as they are, refused when anything in them is changed."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.jobs.models import digits
from engine.poc_protocol.strict_json import canonical
from engine.receipts.document import digest_of, faults_of, read_receipt, receipt_of
from engine.receipts.verification import Files, differences
from engine.runtime.errors import BadInput
from engine.validator.policy.audit_policy import Policy
from kernels.commit.rows import MatrixForm
from kernels.network.graph.layers import check_layers
from kernels.seeded import SeededBytes, draw
from node_client.keys import PrivateKey
from tests.engine.receipts.market import MODEL, NETWORK, SAMPLES, Computer, inference
from tests.engine.validator.arena import RECEIPT_KEY
from tests.engine.validator.test_market import MATMUL, Guest

DIGITS = digits.model_bytes()


def receipt_of_task(one, task_id):
    return read_receipt(one.store.receipts.find(task_id))


@pytest.mark.parametrize("payload", [None, MATMUL, inference(), inference(layers=True)])
def test_every_kind_has_a_receipt_that_verifies(arena, by_script, tmp_path, payload):
    one = arena()
    worker = one.join(Computer)
    task_id = one.post(payload)
    content = one.store.receipts.find(task_id)
    receipt = read_receipt(content)
    ((_work, outcome),) = worker.jobs.values()
    assert differences(receipt, Files(outcome.data), RECEIPT_KEY.address) == []
    (tmp_path / "receipt.json").write_bytes(content)
    (tmp_path / "out").write_bytes(outcome.data or b"")
    output = tmp_path / "out" if outcome.data else None
    assert by_script(tmp_path / "receipt.json", RECEIPT_KEY.public_key, output) == 0
    body = receipt.body
    assert (body.task_id, body.reward) == (task_id, "0.000000000000001")
    assert body.workers[0].address == worker.key.address
    assert body.workers[0].signature
    assert body.checks
    assert body.times.posted <= body.times.sent <= body.times.committed <= body.times.closed


def test_what_was_checked_can_be_checked_again(layered):
    content, output = layered
    body = read_receipt(content).body
    check = next(check for check in body.checks if check.what == "layers")
    seed = bytes.fromhex(check.seed)
    assert check.rows == draw(seed, len(SAMPLES), check.count)
    rows = MatrixForm(body.matrix.rows, body.matrix.columns, 4).entries(output)
    check_layers(NETWORK, SAMPLES[check.rows], rows[check.rows], SeededBytes(seed))
    assert [layer.node for layer in body.layers] == [0, 16, 18]


def test_a_second_worker_and_a_full_check_are_named(arena):
    one = arena(policy=Policy(least_full=1.0, second_worker=0.5))
    workers = {one.join(Computer).key.address for _ in range(2)}
    bodies = [receipt_of_task(one, one.post(inference(layers=True))).body for _ in range(12)]
    kinds = {body.checks[-1].what for body in bodies}
    assert kinds == {"whole", "second"}
    for body in bodies:
        by = body.checks[-1].by
        assert by in (workers if body.checks[-1].what == "second" else {RECEIPT_KEY.address})
        assert len(body.layers) == 3
        assert differences(receipt_of_task(one, body.task_id), Files()) == []


def test_a_guest_signed_nothing(arena):
    one = arena()
    one.join(Guest)
    one.post()
    one.pass_time(4)
    body = receipt_of_task(one, one.store.tasks.page(None, None, 1, 0).tasks[0].task_id).body
    assert body.workers[0].signature is None
    assert body.checks[-1].what == "whole"


def leaves_of(value, path=()):
    if isinstance(value, dict) and value:
        return [leaf for key in value for leaf in leaves_of(value[key], (*path, key))]
    if isinstance(value, list) and value:
        return [leaf for i, one in enumerate(value) for leaf in leaves_of(one, (*path, i))]
    return [path]


@given(data=st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_change_is_refused(layered, by_script, tmp_path, data):
    value = json.loads(layered[0])
    path = data.draw(st.sampled_from(leaves_of(value)))
    holder = value
    for step in path[:-1]:
        holder = holder[step]
    before = holder[path[-1]]
    holder[path[-1]] = data.draw(changed(before).filter(lambda one: one != before))
    content = canonical(value).encode()
    file = tmp_path / "changed.json"
    file.write_bytes(content)
    assert by_script(file) != 0
    try:
        assert differences(read_receipt(content), Files())
    except BadInput:
        return


def changed(value):
    match value:
        case str():
            return st.sampled_from(["", value + "0", value[1:], value[::-1], value.upper()])
        case bool() | None:
            return st.sampled_from([True, False, None])
        case int():
            return st.integers(0, 2**53 - 1) | st.just(value + 1)
        case _:
            return st.sampled_from([None, 1, "", [1]])


@pytest.mark.parametrize("name", ["extra", "checks"])
def test_a_field_more_or_less_is_refused(layered, by_script, tmp_path, name):
    value = json.loads(layered[0])
    if value["body"].pop(name, None) is None:
        value["body"][name] = 1
    (tmp_path / "f").write_bytes(canonical(value).encode())
    assert by_script(tmp_path / "f") != 0
    with pytest.raises(BadInput):
        read_receipt(canonical(value).encode())


def test_foreign_signatures(layered, by_script, tmp_path):
    """Another key's under the same body; and under one of its own, where it is named."""
    other = PrivateKey.generate()
    value = json.loads(layered[0])
    value["signature"] = other.sign_digest(digest_of(read_receipt(layered[0]).body))
    (tmp_path / "f").write_bytes(canonical(value).encode())
    assert by_script(tmp_path / "f") != 0
    assert "signature" in faults_of(receipt_of(value))[0]
    value["body"]["validator"] = {"address": other.address, "public_key": other.public_key}
    value["signature"] = other.sign_digest(digest_of(receipt_of(value).body))
    (tmp_path / "f").write_bytes(canonical(value).encode())
    assert faults_of(receipt_of(value)) == []
    assert by_script(tmp_path / "f") == 0
    assert by_script(tmp_path / "f", RECEIPT_KEY.address) != 0
    (fault,) = faults_of(receipt_of(value), RECEIPT_KEY.address)
    assert RECEIPT_KEY.address in fault


def test_other_files_are_told(layered, by_script, tmp_path):
    content, output = layered
    receipt = read_receipt(content)
    assert differences(receipt, Files(output, {"model": MODEL, "input": SAMPLES.tobytes()})) == []
    for files, word in (
        (Files(output[:-1] + bytes([output[-1] ^ 1])), "output"),
        (Files(output[:-4]), "output"),
        (Files(posted={"model": MODEL + b" "}), "model"),
        (Files(posted={"input": bytes(SAMPLES.nbytes)}), "input"),
    ):
        (difference,) = differences(receipt, files)
        assert difference.startswith(word)
    (tmp_path / "receipt.json").write_bytes(content)
    (tmp_path / "out").write_bytes(output[:-1] + bytes([output[-1] ^ 1]))
    assert "hash" in by_script(tmp_path / "receipt.json", output=tmp_path / "out")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@settings(max_examples=200, deadline=None)
def test_what_is_no_receipt_is_bad_input(content):
    with pytest.raises(BadInput):
        read_receipt(content)


def test_a_worker_that_holds_the_model_gets_its_tasks(arena):
    """Of two that nobody knows, the one whose hello says so; then by what it did before."""
    one = arena()
    image, told = np.zeros((1, 64), np.int8), hashlib.sha256(DIGITS).hexdigest()
    for number in range(8):
        both = [
            one.join(Computer, holds=(told,) if place == number % 2 else ()) for place in (0, 1)
        ]
        holder = both[number % 2].key.address
        body = receipt_of_task(one, one.post(inference(image, DIGITS))).body
        assert body.workers[0].address == holder
        for worker in both:
            one.leave(worker)
