"""The table of products on a real card: what it times is right, and what is wrong is found."""

import importlib.util
import os

import pytest

if importlib.util.find_spec("numba_cuda") is None or os.environ.get("NUMBA_ENABLE_CUDASIM"):
    pytest.skip("needs numba-cuda and a GPU", allow_module_level=True)

from numba import cuda

if not cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

from engine.benchmark import product_check, product_run
from engine.benchmark.contender import Contender
from engine.benchmark.cublaslt import CublasLt, NotAvailable
from engine.benchmark.product_table import CUBLASLT, INT32, OURS, OUTPUTS
from engine.benchmark.products import Operands, contenders
from kernels.cuda.card import Card
from kernels.cuda.kernel_cache import KernelCache
from kernels.cuda.product.tiers import choose


def library():
    try:
        return CublasLt()
    except NotAvailable as why:
        pytest.skip(str(why))


def test_the_table_of_small_sizes_is_right():
    table = product_run.measure(
        sizes=(272, 2304), steady_sizes=(2304,), steady_seconds=0.3, triton=False
    )
    ours = [cell for cell in table.cells if cell.name == OURS]
    assert {(cell.size, cell.output) for cell in ours} == {
        (n, o) for n in (272, 2304) for o in OUTPUTS
    }
    assert all(cell.burst > 0 and cell.differences == 0 for cell in ours if cell.checked)
    assert all(cell.differences == 0 for cell in ours if cell.size == 272)
    assert all((cell.sustained is not None) == (cell.size == 2304) for cell in ours)
    assert table.right()


@pytest.mark.parametrize("n", [272, 2304])
def test_one_wrong_entry_is_found_with_either_reference(n):
    found = library()
    card = Card.select(0)
    with Operands(card, KernelCache(choose(card.capability)), n) as operands:

        def spoiled(contender):
            def run(variant, stream):
                contender.run(variant, stream)
                buffer = operands.c if contender.output == INT32 else operands.r
                stream.clear(buffer.address, 1, 0x01020304)

            return Contender(contender.name, contender.output, contender.variants, run)

        ready = []
        for contender in contenders(operands, found, triton=False):
            if contender.name in (OURS, CUBLASLT):
                mine = spoiled(contender) if contender.name == OURS else contender
                ready.append((mine, mine.fastest(1, rounds=1)))
        for (contender, _replay), (_source, wrong) in zip(
            ready, product_check.compare(operands, ready), strict=True
        ):
            assert wrong == 1 if contender.name == OURS else not wrong
