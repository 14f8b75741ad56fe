"""What errors of libraries are told as."""

import asyncio
import socket

import pytest

from engine.runtime.errors import reason_of


def test_a_reason_has_no_number():
    with pytest.raises(OSError, match="refused") as refused:
        socket.create_connection(("127.0.0.1", 9), 1.0)
    assert reason_of(refused.value) == "Connection refused"

    async def both():
        await asyncio.open_connection("localhost", 9)

    with pytest.raises(OSError, match="Connect call failed") as several:
        asyncio.run(both())
    assert reason_of(several.value) == "Connection refused"
    assert reason_of(ValueError("it is odd")) == "it is odd"
    assert reason_of(EOFError()) == "EOFError"
