"""Names of devices, and what an import costs."""

import subprocess
import sys

import pytest

from kernels.devices import available_devices, check_device_name, open_device, usable_cores
from kernels.errors import DeviceUnavailable, KernelError
from tests.processes import PATIENCE_SECONDS


@pytest.mark.parametrize("name", ["auto", "cpu", "reference"])
def test_opens(name):
    with open_device(name, threads=1) as device:
        assert device.name == ("cpu" if name == "auto" else name)


def test_every_available_device_opens():
    for name in available_devices():
        check_device_name(name)
        open_device(name).close()


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7"])
def test_cuda_without_its_packages(name):
    with pytest.raises(DeviceUnavailable, match="numba-cuda") as caught:
        open_device(name)
    assert caught.value.advice
    with pytest.raises(DeviceUnavailable):
        check_device_name(name)


@pytest.mark.parametrize("name", ["", "CPU", "gpu", "cuda:", "cuda:x", "cpu:0", "x" * 1000])
def test_unknown_names(name):
    with pytest.raises(KernelError, match="auto, cpu, reference, cuda") as caught:
        open_device(name)
    assert not isinstance(caught.value, DeviceUnavailable)
    assert len(str(caught.value)) < 200
    with pytest.raises(KernelError, match="there is no device"):
        check_device_name(name)


@pytest.mark.parametrize("threads", [0, -1])
def test_threads_refused(threads):
    with pytest.raises(KernelError, match="at least 1"):
        open_device("cpu", threads=threads)


def test_cores():
    assert usable_cores() >= 1


@pytest.mark.parametrize(
    "code",
    [
        "import kernels.task, kernels.proof, kernels.check, kernels.devices, kernels.known_answer",
        "from kernels.devices import open_device; open_device('reference')",
        "from kernels.check import check_proof; from kernels.task import Task\n"
        "try: check_proof(Task(bytes(range(32)), 300), bytes(32), '', least_openings=1)\n"
        "except Exception: pass",
    ],
)
def test_numba_stays_out(code):
    code += "\nimport sys; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE_SECONDS)
