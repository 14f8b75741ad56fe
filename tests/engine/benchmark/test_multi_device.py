"""Several devices at once: real child processes on the CPU's two implementations."""

import pytest

from engine.benchmark import multi_device as rig
from engine.runtime.errors import SetupError
from kernels.task import Task


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
