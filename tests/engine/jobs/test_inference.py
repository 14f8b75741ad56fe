"""The shipped model on its own test images; inference as a job: parsed, run, checked, lied about."""

import numpy as np
import pytest

from engine.jobs import inference
from engine.jobs.blobs import BlobRef, MissingBlob, NoBlobs
from engine.jobs.inference import build_payload, classify, decode, quantise_pixels
from engine.jobs.kind import InvalidPayload, JobLimits, TooLarge
from engine.jobs.models import digits
from engine.jobs.registry import needed_blobs, parse_job
from engine.runtime.errors import BadInput
from kernels.errors import InvalidProof, WrongResult
from kernels.network import fast, reference
from kernels.network.model import decode_network, encode_network
from kernels.work import Outcome
from tests.conftest import VECTORS
from tests.engine.jobs import train_digits

WITHIN = 0.01


@pytest.fixture(scope="module")
def network():
    return decode_network(digits.model_bytes())


@pytest.fixture(scope="module")
def floats():
    with np.load(VECTORS / "digits_float.npz", allow_pickle=False) as kept:
        return dict(kept)


def test_the_model_is_within_a_point_of_its_float_model(network, floats, cpu):
    images, labels = digits.test_set()
    outputs = fast.forward(network, quantise_pixels(network, images), cpu)
    integer = (outputs.argmax(axis=1) == labels).mean()
    logits = train_digits.forward(floats, train_digits.real_input(images))["logits"]
    real = (logits.argmax(axis=1) == labels).mean()
    assert len(labels) == 360
    assert real > 0.97
    assert abs(integer - real) <= WITHIN


def test_the_model_is_what_its_float_weights_give(floats):
    assert encode_network(train_digits.quantise(floats)) == digits.model_bytes()
    assert len(digits.model_bytes()) < 200_000


def test_the_test_images_were_not_trained_on():
    images, labels = train_digits.split()
    kept, known = digits.test_set()
    assert np.array_equal(kept[..., 0], images[-360:])
    assert np.array_equal(known, labels[-360:])


def test_training_learns():
    """A few steps of the script: the loss of its own hand-written gradients falls."""
    images, labels = train_digits.split()
    images, labels = images[:256], labels[:256]

    def right(p):
        logits = train_digits.forward(p, train_digits.real_input(images))["logits"]
        return (logits.argmax(axis=1) == labels).mean()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_digits, "EPOCHS", 12)
        assert right(train_digits.train(images, labels)) > 0.8


def test_gradients_are_those_of_the_loss(floats):
    images, labels = train_digits.split()
    x, labels = train_digits.real_input(images[:7]), labels[:7]
    p = {name: value.astype(np.float64) for name, value in floats.items() if "range" not in name}

    def loss(p):
        logits = train_digits.forward(p, x)["logits"]
        logits = logits - logits.max(axis=1, keepdims=True)
        chosen = logits[np.arange(7), labels] - np.log(np.exp(logits).sum(axis=1))
        return -chosen.mean()

    p["dense2.b"] = p["dense2.b"] + np.linspace(-3, 3, 10)  # so that there is something to learn
    g = train_digits.gradients(p, train_digits.forward(p, x), labels)
    for name in p:
        at = np.unravel_index(np.abs(g[name]).argmax(), g[name].shape)
        up, down = ({**p, name: p[name].copy()} for _ in range(2))
        up[name][at] += 1e-6
        down[name][at] -= 1e-6
        assert g[name][at] == pytest.approx((loss(up) - loss(down)) / 2e-6, rel=1e-4)


def test_a_digit_from_payload_to_words(kinds, cache, cpu, reference):
    _images, labels = digits.test_set()
    for number in (0, 17, 359):
        payload = build_payload("digits", f"digits:{number}")
        job = parse_job(kinds, payload, JobLimits(), NoBlobs())
        assert job.returns_data
        outcome = job.run(cpu)
        assert outcome == job.run(reference)
        job.check(outcome)
        said = kinds["inference"].explain(payload, outcome.data, NoBlobs())
        assert said == f"this is a {labels[number]}"


def whole_set(tmp_path, cache):
    images, _labels = digits.test_set()
    np.save(tmp_path / "images.npy", images[..., 0])
    (tmp_path / "model.safetensors").write_bytes(digits.model_bytes())
    return build_payload(tmp_path / "model.safetensors", tmp_path / "images.npy", blobs=cache)


def test_a_batch_through_the_cache(kinds, cache, cpu, tmp_path):
    payload = whole_set(tmp_path, cache)
    assert payload["batch"] == 360
    refs = needed_blobs(kinds, payload, JobLimits())
    assert refs[0] == BlobRef.of(digits.model_bytes())
    assert len(refs) == 2
    with pytest.raises(MissingBlob):
        parse_job(kinds, payload, JobLimits(), NoBlobs())
    job = parse_job(kinds, payload, JobLimits(), cache)
    outcome = job.run(cpu)
    job.check(outcome)
    assert job.leaf_count == 360
    opening = job.opening(outcome.result_hash, [0, 7, 359])
    opening.check(opening.run(cpu))
    said = kinds["inference"].explain(payload, outcome.data, cache).splitlines()
    assert len(said) == 21
    assert said[-1] == "... and 340 more"
    assert "not here" in kinds["inference"].explain(payload, outcome.data, NoBlobs())
    assert "360 samples" in kinds["inference"].explain(payload, None, cache)


def test_lies_about_a_batch(kinds, cache, cpu, reference, tmp_path):
    job = parse_job(kinds, whole_set(tmp_path, cache), JobLimits(), cache)
    right = job.run(cpu)
    from kernels.commit.rows import MatrixTree

    wrong = job.form.entries(right.data).copy()
    wrong[:, 3] ^= 1  # every sample: the few that are drawn will show it
    tree = MatrixTree(job.form, wrong)
    with pytest.raises(WrongResult, match="sample"):
        job.check(Outcome(tree.result_hash, data=wrong.tobytes()))
    with pytest.raises(WrongResult, match="leaves"):
        job.check_leaves(tree.result_hash, [5], tree.siblings([5]))
    with pytest.raises(WrongResult, match="hash"):
        job.check(Outcome(right.result_hash, data=wrong.tobytes()))
    with pytest.raises(InvalidProof):
        job.check(Outcome(right.result_hash, proof="00", data=right.data))
    with pytest.raises(InvalidProof):
        job.check(Outcome(b"short", data=right.data))
    job.check(Outcome(right.result_hash))


@pytest.mark.parametrize(
    ("changes", "refusal", "message"),
    [
        ({"batch": 0}, InvalidPayload, "batch"),
        ({"batch": 65_537}, InvalidPayload, "batch"),
        ({"batch": 2}, InvalidPayload, "a batch of 2"),
        ({"model": {"inline": "AAAA"}}, InvalidPayload, "safetensors"),
        ({"more": 1}, InvalidPayload, "more"),
        ({"return_data": None}, InvalidPayload, "true or false"),
        ({"input": {"sha256": "0" * 64, "size": 1 << 40}}, TooLarge, "bytes"),
    ],
)
def test_refusals(kinds, changes, refusal, message):
    payload = build_payload("digits", "digits:0") | changes
    with pytest.raises(refusal, match=message):
        parse_job(kinds, payload, JobLimits(), NoBlobs())


def test_limits_on_cost_and_output(kinds):
    payload = build_payload("digits", "digits:0")
    for limits in (
        JobLimits(multiply_adds=1000),
        JobLimits(data_bytes=100),
        JobLimits(memory_bytes=10_000),
    ):
        with pytest.raises(TooLarge):
            parse_job(kinds, payload, limits, NoBlobs())


def test_images_that_are_none(tmp_path, network, monkeypatch):
    def saved(array):
        np.save(tmp_path / "image.npy", array)
        return tmp_path / "image.npy"

    image = digits.test_set()[0][0]
    good = build_payload("digits", saved(image))
    assert build_payload("digits", saved(image[..., 0])) == good
    assert build_payload("digits", saved(image[np.newaxis])) == good
    assert build_payload("digits", saved(quantise_pixels(network, image))) == good
    for array, message in (
        (image[:7], "takes"),
        (image + 1, "0 to 16"),
        (np.ones((8, 8)), "whole numbers"),
        (np.ones((3, 8, 8, 2), np.uint8), "takes"),
    ):
        with pytest.raises(BadInput, match=message):
            build_payload("digits", saved(array))
    for name in ("digits:360", "digits:-1", "digits:x", "digits:", "digits:" + "9" * 5000):
        with pytest.raises(BadInput):
            build_payload("digits", name)
    with pytest.raises(BadInput, match="cannot be read"):
        build_payload(tmp_path / "none", "digits:0")
    (tmp_path / "bad").write_bytes(b"bad")
    with pytest.raises(BadInput, match="not a valid network"):
        build_payload(tmp_path / "bad", "digits:0")


@pytest.mark.parametrize(
    "pixels",
    [None, {}, {"most": 16, "times": 1.5, "plus": 0}, {"most": 16, "times": 99, "plus": 0}],
)
def test_models_that_do_not_know_pixels(pixels):
    from kernels.network.layers import Flatten
    from kernels.network.model import Network

    network = Network((2,), (Flatten(),), {"pixels": pixels})
    with pytest.raises(BadInput):
        quantise_pixels(network, np.array([[1, 16]], np.uint8))


def test_labels_that_are_none():
    from kernels.network.layers import ArgMax
    from kernels.network.model import Network

    outputs = np.array([[1], [0]], np.int32)
    for labels, expected in ((None, ["1", "0"]), (["a"], ["1", "a"]), ([1, {}], ["{}", "1"])):
        network = Network((2,), (ArgMax(),), {"labels": labels})
        assert classify(network, outputs) == expected
        assert decode(network, outputs.astype("<i4").tobytes()).tolist() == outputs.tolist()


def test_too_costly_for_a_spot_check_is_not_computed_again(kinds, cpu, monkeypatch):
    from kernels.work import inference as work

    job = parse_job(kinds, build_payload("digits", "digits:0"), JobLimits(), NoBlobs())
    outcome = job.run(cpu)
    monkeypatch.setattr(work, "SPOT_COST", job.cost - 1)
    monkeypatch.setattr(reference, "forward", lambda *_: pytest.fail("computed"))
    job.check(outcome)
    assert inference.KIND.name == "inference"
