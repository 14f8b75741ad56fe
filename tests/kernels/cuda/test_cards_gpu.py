"""What NVML says of a real card: run on a machine that has one."""

import subprocess
import sys

import pytest

from engine.protection.nvml import Cards
from kernels.cards import number_cards
from kernels.devices import count_gpus

pytestmark = pytest.mark.skipif(count_gpus() == 0, reason="no GPU here")


def test_a_real_card_is_read():
    with Cards.open(["cuda:0"]) as cards:
        reading = cards.read()["cuda:0"]
        print(reading, cards.faults())
        assert 10 < reading.temperature < 110
        assert 5 < reading.power < 2000
        assert 0 < reading.memory_used < reading.memory_total
        assert 0 <= reading.utilization <= 1
        assert reading.energy > 0
        assert "NVIDIA" in reading.name
        assert cards.faults() == []


def test_reading_makes_no_cuda_context():
    """The process that reads is not among those that the driver has on the card."""
    script = (
        "import os, pynvml\n"
        "from engine.protection.nvml import Cards\n"
        "with Cards.open(['cuda:0']) as cards:\n"
        "    cards.read(), cards.faults()\n"
        "    card = next(iter(cards._handles.values()))\n"
        "    running = pynvml.nvmlDeviceGetComputeRunningProcesses(card)\n"
        "    assert os.getpid() not in [one.pid for one in running], 'a context'\n"
        "libraries = {line.split('/')[-1] for line in open('/proc/self/maps') if '/' in line}\n"
        "assert not [name for name in libraries if name.startswith('libcuda.so')], libraries\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_card_is_the_one_that_cuda_opens():
    number_cards()
    cuda = pytest.importorskip("numba.cuda")
    with Cards.open(["cuda:0"]) as cards:
        name = cards.read()["cuda:0"].name
    opened = cuda.get_current_device().name
    assert (opened.decode() if isinstance(opened, bytes) else opened) == name
