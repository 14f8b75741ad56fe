"""Payloads from anybody: the declared errors come out, and nothing else."""

import base64
import hashlib
import importlib.metadata
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.jobs import registry
from engine.jobs.arrays import load_matrix
from engine.jobs.blobs import BlobRef, MissingBlob, NoBlobs
from engine.jobs.kind import InvalidPayload, JobLimits, JobRefused, TooLarge, Unsupported
from engine.jobs.matmul import build_payload, decode
from engine.jobs.registry import load_kinds, needed_blobs, parse_job
from engine.runtime.errors import BadInput, SetupError
from kernels.task import Task
from kernels.work.synthetic import SyntheticWork

LIMITS = JobLimits(matrix_size=512, iterations=64, multiply_adds=1 << 26, data_bytes=1 << 16)
SEED = bytes(range(32)).hex()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
SIDES = st.integers(-1, 6) | st.sampled_from([512, 513, 65_536, 65_537, True, 1.0]) | JSON
SOURCES = (
    st.binary(max_size=40).map(lambda content: {"inline": base64.b64encode(content).decode()})
    | st.builds(lambda text: {"inline": text}, st.text(max_size=12))
    | st.builds(
        lambda digits, size: {"sha256": digits, "size": size},
        st.sampled_from(["0" * 64, "0" * 63, "F" * 64]) | JSON,
        st.integers(-1, 1 << 17) | JSON,
    )
    | JSON
)


def carried(content: bytes) -> dict:
    return {"inline": base64.b64encode(content).decode()}


def product(**changes) -> dict:
    whole = {"challenge_type": "matmul", "m": 2, "k": 3, "n": 1}
    whole |= {"a": carried(bytes(6)), "b": carried(bytes(3))} | changes
    return {name: value for name, value in whole.items() if value is not ...}


@settings(deadline=None, max_examples=150)
@given(JSON)
@example({"challenge_type": {}})
@example({"challenge_type": "synthetic" * 1000})
def test_any_json(kinds, payload):
    with pytest.raises(JobRefused):
        parse_job(kinds, payload, LIMITS, NoBlobs())
    with pytest.raises(JobRefused):
        needed_blobs(kinds, payload, LIMITS)


@settings(deadline=None, max_examples=200)
@given(
    st.fixed_dictionaries(
        {"challenge_type": st.sampled_from(["synthetic", "matmul", "inference"])},
        optional={
            "seed": st.sampled_from([SEED, "", "0", "zz", "AA"]) | JSON,
            "matrix_size": SIDES,
            "iterations": SIDES,
            "m": SIDES,
            "k": SIDES,
            "n": SIDES,
            "a": SOURCES,
            "b": SOURCES,
            "model": SOURCES,
            "input": SOURCES,
            "batch": SIDES,
            "return_data": st.booleans() | JSON,
            "other": JSON,
        },
    )
)
def test_near_payloads(kinds, payload):
    try:
        needed_blobs(kinds, payload, LIMITS)
        job = parse_job(kinds, payload, LIMITS, NoBlobs())
    except (JobRefused, MissingBlob):
        return
    assert 1 <= job.cost <= LIMITS.multiply_adds
    assert job.leaf_count >= 1


def test_synthetic(kinds):
    payload = {"challenge_type": "synthetic", "seed": SEED, "matrix_size": 40, "difficulty": 3}
    assert parse_job(kinds, payload, LIMITS, NoBlobs()) == SyntheticWork(
        Task(bytes(range(32)), 40, 1), 16
    )
    for other in ("", "ab", SEED + "00"):
        job = parse_job(kinds, payload | {"seed": other, "iterations": 2}, LIMITS, NoBlobs())
        seed = hashlib.sha256(bytes.fromhex(other)).digest()
        assert job == SyntheticWork(Task(seed, 40, 2), 16)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"matrix_size": 513}, TooLarge),
        ({"matrix_size": 65_537}, InvalidPayload),
        ({"matrix_size": True}, InvalidPayload),
        ({"matrix_size": 16.0}, InvalidPayload),
        ({"iterations": 65}, TooLarge),
        ({"matrix_size": 512, "iterations": 2}, TooLarge),
        ({"seed": "0" * 64}, InvalidPayload),  # equal halves
        ({"seed": SEED.upper()}, InvalidPayload),
        ({"seed": "0x" + SEED}, InvalidPayload),
        ({"seed": SEED[1:]}, InvalidPayload),
        ({"seed": "00" * 40_000}, InvalidPayload),
        ({"seed": SEED + "\n"}, InvalidPayload),
        ({"challenge_type": "other"}, Unsupported),
    ],
)
def test_synthetic_refusals(kinds, changes, refusal):
    payload = {"challenge_type": "synthetic", "seed": SEED, "matrix_size": 64} | changes
    with pytest.raises(refusal) as refused:
        parse_job(kinds, payload, LIMITS, NoBlobs())
    assert type(refused.value) is refusal
    assert refused.value.code in ("invalid_payload", "too_large", "unsupported")


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"m": 513}, TooLarge),
        ({"k": 65_537}, InvalidPayload),
        ({"n": ...}, InvalidPayload),
        ({"m": 512, "k": 512, "n": 512}, TooLarge),  # multiply-adds
        ({"m": 400, "k": 1, "n": 400}, TooLarge),  # the product's bytes
        ({"n": 2}, InvalidPayload),  # B has another size
        ({"a": carried(bytes(5))}, InvalidPayload),
        ({"a": {"inline": "AAAA=A=="}}, InvalidPayload),
        ({"a": {"inline": "AA AA"}}, InvalidPayload),
        ({"a": {"inline": "ÄÄÄÄ"}}, InvalidPayload),
        ({"a": {"inline": "AAAA", "size": 3}}, InvalidPayload),
        ({"a": "AAAA"}, InvalidPayload),
        ({"a": {"sha256": "0" * 64, "size": 1 << 17}}, TooLarge),
        ({"a": carried(bytes(1 << 17))}, TooLarge),
        ({"a": {"inline": "A" * (12 << 20)}}, InvalidPayload),
        ({"a": {"sha256": "0" * 64, "size": 6}}, MissingBlob),
        ({"return_data": 1}, InvalidPayload),
        ({"transposed": True}, InvalidPayload),
    ],
)
def test_matmul_refusals(kinds, changes, refusal):
    with pytest.raises(refusal) as refused:
        parse_job(kinds, product(**changes), LIMITS, NoBlobs())
    assert type(refused.value) is refusal
    assert len(str(refused.value)) < 200


def test_matmul_through_the_cache(kinds, cache, cpu, tmp_path):
    A = np.random.default_rng(1).integers(-128, 128, (40, 300), np.int8)
    B = np.random.default_rng(2).integers(-128, 128, (300, 200), np.int16)
    np.save(tmp_path / "a.npy", A)
    np.save(tmp_path / "b.npy", B)
    inline = build_payload(tmp_path / "a.npy", tmp_path / "b.npy", return_data=True)
    named = build_payload(tmp_path / "a.npy", tmp_path / "b.npy", return_data=True, blobs=cache)
    assert needed_blobs(kinds, inline, JobLimits()) == ()
    refs = needed_blobs(kinds, named, JobLimits())
    assert refs == (BlobRef.of(A.tobytes()), BlobRef.of(B.astype(np.int8).tobytes()))
    outcomes = [parse_job(kinds, p, JobLimits(), cache).run(cpu) for p in (inline, named)]
    assert outcomes[0] == outcomes[1]
    C = decode(named, outcomes[0].data)
    assert np.array_equal(C, A.astype(np.int64) @ B.astype(np.int64))
    said = kinds["matmul"].explain(named, outcomes[0].data, cache)
    assert "40 x 200" in said
    assert str(C[0, 0]) in said
    assert "40 x 200" in kinds["matmul"].explain(named, None, cache)


def test_files_that_are_none(tmp_path):
    good, wide, narrow = tmp_path / "good.npy", tmp_path / "wide.npy", tmp_path / "narrow.npy"
    np.save(good, np.ones((2, 3), np.int8))
    np.save(wide, np.full((3, 2), 128))
    np.save(narrow, np.ones((2, 3), np.float32))
    for path, message in (
        (tmp_path / "none.npy", "no file"),
        (wide, "-128 to 127"),
        (narrow, "whole numbers"),
        (good, "columns"),
    ):
        with pytest.raises(BadInput, match=message):
            build_payload(good, path, return_data=False)
    for content in (b"", b"text", good.read_bytes()[:-1], good.read_bytes()[:9]):
        (tmp_path / "bad.npy").write_bytes(content)
        with pytest.raises(BadInput, match=r"not a \.npy file"):
            load_matrix(tmp_path / "bad.npy")
    np.save(tmp_path / "deep.npy", np.ones((2, 2, 2), np.int8))
    np.save(tmp_path / "empty.npy", np.ones((0, 2), np.int8))
    np.save(tmp_path / "objects.npy", np.array([[{}]]), allow_pickle=True)
    for name in ("deep", "empty", "objects"):
        with pytest.raises(BadInput):
            load_matrix(tmp_path / f"{name}.npy")


def installed(tmp_path, monkeypatch, package: str, entries: str, code: str) -> None:
    """A package beside ours, as pip would leave it."""
    info = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[cpc_engine.jobs]\n{entries}\n")
    (tmp_path / "somebodys.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)


def test_other_packages_kinds_are_off_unless_enabled(tmp_path, monkeypatch, kinds):
    installed(
        tmp_path,
        monkeypatch,
        "somebody",
        "theirs = somebodys:KIND\nbroken = somebodys:NONE\nsynthetic = somebodys:KIND",
        "from engine.jobs.synthetic import Synthetic\nclass KIND(Synthetic): pass",
    )
    assert load_kinds().keys() == kinds.keys()
    assert "somebodys" not in sys.modules
    both = load_kinds(["theirs", "matmul"])
    assert both.keys() == {*kinds, "theirs"}
    assert both["synthetic"] is kinds["synthetic"]
    with pytest.raises(BadInput, match="cannot be loaded"):
        load_kinds(["broken"])
    with pytest.raises(BadInput, match="theirs"):
        load_kinds(["nobodys"])


def test_an_installation_without_kinds_says_so(monkeypatch):
    monkeypatch.setattr(registry, "entry_points", lambda group: importlib.metadata.EntryPoints())
    with pytest.raises(SetupError, match="no job kinds"):
        load_kinds()
