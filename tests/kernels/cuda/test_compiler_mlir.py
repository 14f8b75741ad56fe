"""Every kernel of a card through numba-cuda-mlir, where that and ptxas are installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

if importlib.util.find_spec("numba_cuda_mlir") is None:
    pytest.skip("needs numba-cuda-mlir, nvidia-nvvm and ptxas", allow_module_level=True)


@pytest.mark.slow
@pytest.mark.parametrize("card", ["sm_86", "sm_90a"])
def test_every_kernel_compiles(card):
    done = subprocess.run(
        [sys.executable, "-m", "bench.registers", "--card", card],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"CPC_CUDA_COMPILER": "mlir", "NUMBA_ENABLE_CUDASIM": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "| leaves |" in done.stdout
