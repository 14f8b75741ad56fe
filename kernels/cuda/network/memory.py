"""Memory of the card that is used again, without asking the driver, when nobody holds it any more."""

from kernels.cuda.driver import DeviceBuffer
from kernels.cuda.network.machine import Block, Machine


class Pool:
    """Buffers that nobody holds, by size; those of a recording go to the machine's when it ends."""

    def __init__(self) -> None:
        self.free: dict[int, list[DeviceBuffer]] = {}
        self._into: Pool | None = None

    def give_back(self, buffer: DeviceBuffer) -> None:
        """Keep a buffer for the next one who needs one: what uses it comes later on the stream."""
        if self._into is not None:
            self._into.give_back(buffer)
        else:
            self.free.setdefault(buffer.size, []).append(buffer)

    def end(self, into: "Pool") -> None:
        """Give all to another one, and what comes later, too."""
        for buffers in self.free.values():
            for buffer in buffers:
                into.give_back(buffer)
        self.free.clear()
        self._into = into


class CardMemory(Block):
    """A buffer that is used again when nobody holds it any more."""

    def __init__(self, machine: Machine, pool: Pool, buffer: DeviceBuffer) -> None:
        self._machine, self._pool = machine, pool
        self.buffer, self.size = buffer, buffer.size

    @property
    def address(self) -> int:
        """Where it begins; 0 once the machine was closed."""
        return self.buffer.address

    def __del__(self) -> None:
        if not self._machine.closed:
            self._pool.give_back(self.buffer)
