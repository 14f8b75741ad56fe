"""Several devices at once: real child processes on the CPU's two implementations."""

import contextlib
import pickle
from functools import partial

import pytest

from engine.benchmark import multi_device as rig
from engine.runtime.errors import SetupError
from kernels.task import Task
from tests.variants import quick_and_slow


@pytest.mark.slow
def test_two_devices_together_and_alone(monkeypatch):
    monkeypatch.setattr(rig, "SECONDS", 0.1)
    report = rig.measure_rig(["cpu", "reference"], Task(bytes(range(32)), 40), threads=1, turns=1)
    assert list(report.alone) == list(report.together) == ["cpu", "reference"]
    assert report.total == pytest.approx(sum(report.together.values()))
    assert min(*report.alone.values(), *report.together.values()) > 0
    assert report.share_of_linear == pytest.approx(report.total / sum(report.alone.values()))
    assert report.to_json()["size"] == 40


def test_a_device_that_cannot_start_is_named():
    with pytest.raises(SetupError, match="device cuda:0: CUDA needs the package"):
        rig.measure_rig(["cuda:0"], Task(bytes(range(32)), 40))


@pytest.mark.parametrize(
    ("said", "reason"),
    quick_and_slow(
        [(b"NaN", "nan"), (b'"no\\u001bway"', "no way"), (pickle.dumps(1.0), "not JSON")],
        [
            (b"-1.0", "-1.0"),
            (b"true", "True"),
            (b"1.0 2.0", "not JSON"),
            (b"[" * 4000, "not JSON"),
            (b"1" * 5000, "ended"),
        ],
    ),
)
def test_what_a_child_says_is_a_number_or_a_sentence(monkeypatch, said, reason):
    """Real child processes say it, in place of a rate."""
    monkeypatch.setattr(rig, "_work", partial(say, said))
    with pytest.raises(SetupError, match=reason) as caught:
        rig.measure_rig(["cpu"], Task(bytes(range(32)), 40))
    assert str(caught.value).isprintable()


def say(said, device, threads, task, line):
    with contextlib.suppress(OSError):
        line.send_bytes(said)
        line.poll(None)
