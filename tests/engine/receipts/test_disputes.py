"""Disputes: each cheat is found and proven to anybody, and nobody can dispute an honest result."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.cli.app import run
from engine.poc_protocol.strict_json import canonical, parse
from engine.receipts.dispute import check_dispute, find_dispute, read_dispute
from engine.receipts.disputed import disputed
from engine.receipts.document import read_receipt, sign_receipt
from engine.runtime.errors import BadInput, WrongClaim
from kernels.commit.rows import MatrixForm, MatrixTree
from kernels.network import reference
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.layers import run_layers
from kernels.network.model import decode_network
from tests.engine.receipts.market import MODEL, NETWORK, SAMPLES, Computer, inference
from tests.engine.validator.arena import RECEIPT_KEY
from tests.kernels.network.test_graph_files import file_of, small

FILES = {"model": MODEL, "input": SAMPLES.tobytes()}
RIGHT = run_layers(NETWORK, SAMPLES, REFERENCE, group=1)
FORM = MatrixForm(*RIGHT.shape, 4)


def compute(about):
    return run_layers(about.network, about.samples, REFERENCE, group=1)


def signed(receipt, rows):
    """A receipt of these rows, by a validator that colludes, and their bytes."""
    tree = MatrixTree(FORM, rows.astype("<i4"))
    body = msgspec.structs.replace(receipt.body, result_hash=tree.result_hash.hex())
    return sign_receipt(body, RECEIPT_KEY), rows.astype("<i4").tobytes()


def other_model(change):
    tensors, described = small()
    change(tensors)
    return run_layers(decode_network(file_of(tensors, described)), SAMPLES, REFERENCE, group=1)


def wrong_entry(column):
    rows = RIGHT.copy()
    rows[1, column] ^= 1 if column % 4 else -(2**31)
    return rows


def halved(node):
    return lambda tensors: tensors.update({f"{node}.weights": tensors[f"{node}.weights"] // 2})


def scaled(node):
    """Its sums are right; what is made of them is larger by an eighth: a step, for most."""
    name = f"{node}.multiplier"
    return lambda tensors: tensors.update({name: tensors[name] + (1 << 27)})


OUTPUTS = slice(0, NETWORK.columns)
COPIED = RIGHT[[0, 0, 0]]
COPIED_OUTPUTS = RIGHT.copy()
COPIED_OUTPUTS[:, OUTPUTS] = COPIED[:, OUTPUTS]
CHEATS = {
    "a smaller first layer": other_model(halved("n0")),
    "a smaller last layer": other_model(halved("n18")),
    "the first layer scaled otherwise": other_model(scaled("n0")),
    "the last layer scaled otherwise": other_model(scaled("n18")),
    "copied from another sample": COPIED,
    "copied outputs": COPIED_OUTPUTS,
    "nothing computed": np.zeros_like(RIGHT),
}


@pytest.fixture
def receipt(layered):
    return read_receipt(layered[0])


def proven(receipt, rows):
    """Find the dispute, through its file, and have it checked."""
    lie, output = signed(receipt, rows)
    dispute = find_dispute(lie, FILES, output, compute)
    again = read_dispute(dispute.encode())
    committed, right = check_dispute(again, FILES)
    assert committed == rows[again.row, again.column] != right == RIGHT[again.row, again.column]
    return again


@pytest.mark.parametrize("cheat", CHEATS)
def test_each_cheat_is_proven(receipt, cheat):
    assert not np.array_equal(CHEATS[cheat], RIGHT)
    proven(receipt, CHEATS[cheat])


def test_one_wrong_entry_anywhere_is_proven(receipt):
    """Every second output, and sum of each layer: by one, or by 2^31."""
    for column in range(0, RIGHT.shape[1], 2):
        dispute = proven(receipt, wrong_entry(column))
        assert (dispute.row, dispute.column) == (1, column)
        assert (dispute.node is None) == (column < NETWORK.columns)


def test_an_honest_result_cannot_be_disputed(layered, receipt):
    assert find_dispute(receipt, FILES, layered[1], compute) is None
    tree = MatrixTree(FORM, RIGHT.astype("<i4"))
    about = disputed(receipt, FILES)
    lie = proven(receipt, wrong_entry(0))
    nodes = [None, *(layer.node for layer in receipt.body.layers)]
    for column in range(RIGHT.shape[1]):
        for node in nodes:
            try:
                leaves = about.leaves(node, 1, column)
            except WrongClaim:
                continue  # it is not that layer's
            data = RIGHT.astype("<i4")[1].tobytes()
            opened = replace(
                lie, receipt=receipt, node=node, row=1, column=column,
                leaves=b"".join(data[part * 4096 : (part + 1) * 4096] for part in
                                (leaf % FORM.leaves_per_row for leaf in leaves)),
                siblings=tree.siblings(leaves),
            )  # fmt: skip
            with pytest.raises(WrongClaim, match="right"):
                check_dispute(opened, FILES)


@given(data=st.data())
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_dispute_that_was_changed_is_refused(layered, receipt, data):
    """Any byte, any number: nothing holds that is not proven, of the honest receipt least of all."""
    value = parse(proven(receipt, wrong_entry(data.draw(st.integers(0, 60)))).encode())
    name = data.draw(st.sampled_from(["receipt", "node", "row", "column", "leaves", "siblings"]))
    if name == "receipt":
        value[name] = parse(layered[0])
    elif name in ("leaves", "siblings"):
        text = value[name]
        at = data.draw(st.integers(0, max(0, len(text) - 1)))
        value[name] = text[:at] + data.draw(st.sampled_from("0aA")) + text[at + 1 :]
    else:
        value[name] = data.draw(st.none() | st.integers(0, 2000))
    before = read_dispute(proven(receipt, wrong_entry(0)).encode())
    try:
        dispute = read_dispute(canonical(value).encode())
        committed, right = check_dispute(dispute, FILES)
    except (WrongClaim, BadInput):
        return
    assert committed != right  # it is as it was
    assert dispute.receipt.body.result_hash != receipt.body.result_hash
    assert before.receipt.signature


def test_without_layers_a_whole_sample_is_the_proof(arena):
    one = arena()
    worker = one.join(Computer)
    task = one.post(inference())
    ((_work, outcome),) = worker.jobs.values()
    receipt = read_receipt(one.store.receipts.find(task))
    right = reference.forward(NETWORK, SAMPLES)
    assert find_dispute(receipt, FILES, outcome.data, lambda _about: right) is None
    rows = right.copy()
    rows[2, 3] += 1
    tree = MatrixTree(MatrixForm(*rows.shape, 4), rows)
    lie = sign_receipt(
        msgspec.structs.replace(receipt.body, result_hash=tree.result_hash.hex()), RECEIPT_KEY
    )
    dispute = find_dispute(lie, FILES, rows.astype("<i4").tobytes(), lambda _about: right)
    assert check_dispute(dispute, FILES) == (rows[2, 3], right[2, 3])


def test_other_files_are_bad_input(layered, receipt):
    for model, samples, output in (
        (MODEL + b" ", FILES["input"], layered[1]),
        (MODEL, FILES["input"][:-1], layered[1]),
        (MODEL, FILES["input"], layered[1][:-4]),
        (MODEL, FILES["input"], bytes(len(layered[1]))),
    ):
        with pytest.raises(BadInput):
            find_dispute(receipt, {"model": model, "input": samples}, output, compute)


def test_the_commands(receipt, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").write_bytes(MODEL)
    np.save(tmp_path / "x.npy", SAMPLES.reshape(3, 4, 4, 1))
    files = ["--model", "m", "--input", "x.npy"]
    dispute = ["receipt", "dispute", "r", "--output", "out", *files, "--device", "reference"]
    for rows, code in ((RIGHT, 0), (CHEATS["a smaller last layer"], 1)):
        signed_receipt, output = signed(receipt, rows)
        (tmp_path / "r").write_bytes(signed_receipt.encode())
        (tmp_path / "out").write_bytes(output)
        assert run(dispute) == code
        assert (tmp_path / "dispute.json").exists() == bool(code)
    assert run(["receipt", "verify-dispute", "dispute.json", *files]) == 0
    assert "node 18" in capsys.readouterr().out
    honest = parse((tmp_path / "dispute.json").read_bytes())
    honest["receipt"] = parse(receipt.encode())
    (tmp_path / "dispute.json").write_text(canonical(honest))
    assert run(["receipt", "verify-dispute", "dispute.json", *files]) == 1
    assert run(["receipt", "verify-dispute", "x.npy", *files]) == 2
    assert "Traceback" not in capsys.readouterr().err
