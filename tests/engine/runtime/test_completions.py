"""Futures that end in other threads, waited for on a loop."""

import asyncio
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from engine.runtime.completions import Completions


def test_each_waiter_gets_its_own_end():
    sources = [Future() for _ in range(100)]

    def end(number):
        if number % 3 == 0:
            sources[number].set_result(number)
        elif number % 3 == 1:
            sources[number].set_exception(ValueError(number))
        else:
            sources[number].cancel()
            sources[number].set_running_or_notify_cancel()

    async def wait():
        completions = Completions()
        waiting = [completions.wrap(source) for source in sources]
        with ThreadPoolExecutor(4) as threads:
            ended = [threads.submit(end, number) for number in range(100)]
            found = await asyncio.gather(*waiting, return_exceptions=True)
            assert [one.exception() for one in ended] == [None] * 100
        return found

    for number, found in enumerate(asyncio.run(wait())):
        if number % 3 == 0:
            assert found == number
        elif number % 3 == 1:
            assert found.args == (number,)
        else:
            assert isinstance(found, asyncio.CancelledError)


def test_who_stops_waiting_cancels_what_it_waited_for():
    source = Future()

    async def wait():
        async with asyncio.timeout(0):
            await Completions().wrap(source)

    with pytest.raises(TimeoutError):
        asyncio.run(wait())
    with pytest.raises(CancelledError):
        source.result()


def test_what_ends_after_the_loop_is_told_nobody():
    source, completions = Future(), Completions()

    async def leave():
        completions.wrap(source)

    asyncio.run(leave())
    source.set_result(1)
    assert source.result() == 1
