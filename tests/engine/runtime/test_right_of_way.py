"""Jobs wait while a block's results are on their way: until these are sent, and never for good."""

import threading

from engine.runtime.right_of_way import RightOfWay
from tests.processes import PATIENCE_SECONDS, wait_until


def test_whoever_waits_goes_on_when_the_way_is_given():
    way = RightOfWay()
    passed = threading.Event()
    stop = threading.Event()

    def take_and_take():
        while not stop.wait(0.01):
            way.take()

    way.take()
    taking = threading.Thread(target=take_and_take)
    waiting = threading.Thread(target=lambda: (way.let_pass(), passed.set()))
    taking.start()
    waiting.start()
    assert not passed.wait(0.2)
    stop.set()
    taking.join()
    way.give()
    assert passed.wait(PATIENCE_SECONDS)
    waiting.join()


def test_a_way_that_nobody_gives_is_free_again_by_itself():
    way = RightOfWay()
    way.take()
    waiting = threading.Thread(target=way.let_pass, daemon=True)
    waiting.start()
    wait_until(lambda: not waiting.is_alive(), "the way to be free")
    assert way.left == 0
