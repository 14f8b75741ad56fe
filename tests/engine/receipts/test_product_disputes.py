"""Disputes of a product by one row and one column, and of a stream by the states before."""

import msgspec
import numpy as np
import pytest

from engine.cli.app import run
from engine.jobs.fields import carry
from engine.receipts.dispute import check_dispute, find_dispute, read_dispute
from engine.receipts.document import read_receipt, sign_receipt
from engine.runtime.errors import BadInput, WrongClaim
from kernels.commit.rows import MatrixForm, MatrixTree
from tests.engine.receipts.market import Computer, inference
from tests.engine.validator.arena import RECEIPT_KEY
from tests.kernels.network.test_streams import GRAPH, MODEL, SAMPLES

RANDOM = np.random.default_rng(6)
A, B = (RANDOM.integers(-128, 128, shape, np.int8) for shape in ((3, 70), (70, 1100)))
C = A.astype(np.int32) @ B.astype(np.int32)
FILES = {"a": A.tobytes(), "b": B.tobytes()}
PRODUCT = {
    "challenge_type": "matmul", "m": 3, "k": 70, "n": 1100, "a": carry(A.tobytes()),
    "b": carry(B.tobytes()),
}  # fmt: skip


def told(arena, payload):
    """The receipt of an honest result of this task, and the result's rows."""
    one = arena()
    worker = one.join(Computer)
    task = one.post(payload)
    ((work, outcome),) = worker.jobs.values()
    return read_receipt(one.store.receipts.find(task)), work.form.entries(outcome.data)


def signed(receipt, rows):
    """A receipt of these rows, by a validator that colludes."""
    form = MatrixForm(*rows.shape, rows.itemsize)
    tree = MatrixTree(form, rows)
    body = msgspec.structs.replace(receipt.body, result_hash=tree.result_hash.hex())
    return sign_receipt(body, RECEIPT_KEY)


def proven(receipt, files, rows, right):
    lie = signed(receipt, rows)
    dispute = find_dispute(lie, files, rows.tobytes(), lambda _about: right)
    again = read_dispute(dispute.encode())
    committed, must = check_dispute(again, files)
    assert committed == rows[again.row, again.column] != must == right[again.row, again.column]
    return again


def test_one_wrong_entry_of_a_product_is_proven(arena):
    receipt, rows = told(arena, PRODUCT)
    assert np.array_equal(rows, C)
    for i, j, by in ((0, 0, 1), (1, 1023, -(2**31)), (2, 1024, 256), (2, 1099, -1)):
        wrong = C.copy()
        wrong[i, j] ^= by
        dispute = proven(receipt, FILES, wrong, C)
        assert (dispute.node, dispute.row, dispute.column) == (None, i, j)
        assert len(dispute.leaves) in (4096, 4 * (1100 - 1024))  # one leaf


def test_an_honest_product_cannot_be_disputed(arena):
    receipt, rows = told(arena, PRODUCT)
    assert find_dispute(receipt, FILES, rows.tobytes(), lambda _about: C) is None
    lie = C.copy()
    lie[1, 5] += 1
    dispute = find_dispute(receipt, FILES, rows.tobytes(), lambda _about: lie)
    with pytest.raises(WrongClaim, match="right"):
        check_dispute(dispute, FILES)
    with pytest.raises(BadInput, match="b: the receipt is about another"):
        check_dispute(dispute, FILES | {"b": bytes(B.size)})
    with pytest.raises(BadInput, match="a: the receipt is about one"):
        check_dispute(dispute, {"b": FILES["b"]})


@pytest.mark.parametrize("layers", [False, True])
@pytest.mark.parametrize("state", [None, bytes(range(12))])
def test_a_false_step_of_a_stream_is_proven(arena, layers, state):
    """Each column of a row: outputs, states, sums. What follows from a wrong state is not named."""
    more = {} if state is None else {"state": carry(state)}
    payload = inference(SAMPLES, MODEL, layers=layers, **more)
    receipt, right = told(arena, payload)
    files = {"model": MODEL, "input": SAMPLES.tobytes()} | (
        {} if state is None else {"state": state}
    )
    assert find_dispute(receipt, files, right.tobytes(), lambda _about: right) is None
    for row in (0, 4):
        for column in range(right.shape[1]):
            wrong = right.copy()
            wrong[row, column] ^= 1
            wrong[row + 1 :] = 0
            dispute = proven(receipt, files, wrong, right)
            assert dispute.row == row
    honest = find_dispute(receipt, files, right.tobytes(), lambda _about: wrong)
    with pytest.raises(WrongClaim, match="right"):
        check_dispute(honest, files)
    assert right.shape[1] == GRAPH.columns + 2 * layers


def test_the_commands(arena, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    receipt, _rows = told(arena, PRODUCT)
    np.save(tmp_path / "a.npy", A)
    np.save(tmp_path / "b.npy", B)
    files = ["--a", "a.npy", "--b", "b.npy"]
    wrong = C.copy()
    wrong[2, 7] += 3
    for rows, code in ((C, 0), (wrong, 1)):
        (tmp_path / "r").write_bytes(signed(receipt, rows).encode())
        (tmp_path / "out").write_bytes(rows.tobytes())
        dispute = ["receipt", "dispute", "r", "--output", "out", *files, "--device", "reference"]
        assert run(dispute) == code
    assert run(["receipt", "verify-dispute", "dispute.json", *files]) == 0
    assert "row 2, column 7 of C" in capsys.readouterr().out
    assert run(["receipt", "verify-dispute", "dispute.json", "--a", "a.npy"]) == 2
    assert "b: the receipt is about one" in capsys.readouterr().err
    (tmp_path / "r").write_bytes(receipt.encode())
    (tmp_path / "out").write_bytes(C.tobytes())
    assert run(["receipt", "verify", "r", "--output", "out", *files]) == 0
    assert run(["receipt", "verify", "r", "--a", "b.npy"]) == 1
