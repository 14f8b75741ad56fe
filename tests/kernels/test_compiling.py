"""Who waits for work is told of kernels that are compiled for it."""

import threading

from kernels.compiling import Compiling, compiling_seconds


def test_what_is_compiled_is_told_from_the_first_on():
    told = []
    before = compiling_seconds()
    with Compiling(2, lambda *said: told.append(said)) as compiling:
        compiling.one_done()
        compiling.one_done()
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert compiling_seconds() > before


def test_what_is_quickly_there_is_not_told():
    told = []
    with Compiling(2, lambda *said: told.append(said), after=1e6) as compiling:
        compiling.one_done()
        compiling.one_done()
    assert told == []


def test_what_takes_longer_is_told_while_it_lasts():
    told, heard = [], threading.Event()

    def tell(*said):
        told.append(said)
        heard.set()

    with Compiling(2, tell, after=0.01) as compiling:
        assert heard.wait(60)
        compiling.one_done()
    assert told == [(0, 2), (1, 2)]
