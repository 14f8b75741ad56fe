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
    """A CUDA context takes memory of the card, a hundred MiB and more; reading takes none.

    What NVML maps and opens says nothing: driver 580's maps libcuda and opens the files of unified
    memory. And a container's process ids are not the driver's.
    """
    script = (
        "import pynvml\n"
        "from engine.protection.nvml import Cards\n"
        "pynvml.nvmlInit()\n"
        "card = pynvml.nvmlDeviceGetHandleByIndex(0)\n"
        "used = lambda: pynvml.nvmlDeviceGetMemoryInfo(card).used >> 20\n"
        "before = used()\n"
        "with Cards.open(['cuda:0']) as cards:\n"
        "    cards.read(), cards.faults()\n"
        "    after = used()\n"
        "from numba import cuda\n"
        "cuda.current_context()\n"
        "assert used() - after > 50, 'the test cannot see a context'\n"
        "assert after - before < 50, (before, after)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_card_is_the_one_that_cuda_opens():
    number_cards()
    cuda = pytest.importorskip("numba.cuda")
    with Cards.open(["cuda:0"]) as cards:
        name = cards.read()["cuda:0"].name
    opened = cuda.get_current_device().name
    assert (opened.decode() if isinstance(opened, bytes) else opened) == name
