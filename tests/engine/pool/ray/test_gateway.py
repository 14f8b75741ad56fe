"""What the gateway makes of an order before it leaves this machine."""

import hashlib
from dataclasses import replace

from engine.pool.actions import Batch
from engine.pool.launcher import Heard
from engine.pool.messages import Failed, Run, Setup
from engine.pool.ray.gateway import Gateway, _Running
from kernels.data import Data
from kernels.work.matmul import MatrixWork


class Line:
    """An actor that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, object]] = []

    def tell(self, generation, orders):
        self.told.append((generation, orders))


def test_data_in_files_of_this_machine_goes_along(tmp_path):
    path, content = tmp_path / "blob", bytes(range(40))
    path.write_bytes(content)
    named = Data.of_file(path, hashlib.sha256(content).digest(), len(content))
    run = Run(7, MatrixWork(1, 40, 1, named, Data.of_bytes(bytes(40))))
    heard: list[object] = []
    gateway = Gateway(None, None, Setup(), heard.append)
    actor = Line()
    gateway._running["rig/cpu"] = _Running(actor, 3)

    other = Run(8, replace(run.work, a=Data.of_bytes(content)))
    gateway._carry_out(Batch("rig/cpu", 3, (run, other)))
    (generation, orders), *_ = actor.told
    assert (generation, [order.ticket for order in orders]) == (3, [7, 8])
    assert orders[0].work.a.content == content

    path.unlink()
    gateway._carry_out(Batch("rig/cpu", 3, (run, other)))
    assert [[order.ticket for order in orders] for _generation, orders in actor.told[1:]] == [[8]]
    (said,) = heard
    assert isinstance(said, Heard)
    assert isinstance(said.message, Failed)
    assert (said.device, said.generation, said.message.ticket) == ("rig/cpu", 3, 7)
    assert said.message.kind == "InvalidJob"
