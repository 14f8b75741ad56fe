"""What the gateway makes of an order before it leaves this machine."""

import hashlib

from engine.pool.actions import Tell
from engine.pool.launcher import Heard
from engine.pool.messages import Failed, Run, Setup
from engine.pool.ray.gateway import Gateway, _Running
from kernels.data import Data
from kernels.work.matmul import MatrixWork


class Line:
    """An actor that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, object]] = []

    def tell(self, generation, message):
        self.told.append((generation, message))


def test_data_in_files_of_this_machine_goes_along(tmp_path):
    path, content = tmp_path / "blob", bytes(range(40))
    path.write_bytes(content)
    named = Data.of_file(path, hashlib.sha256(content).digest(), len(content))
    run = Run(7, MatrixWork(1, 40, 1, named, Data.of_bytes(bytes(40))))
    heard: list[object] = []
    gateway = Gateway(None, None, Setup(), heard.append)
    actor = Line()
    gateway._running["rig/cpu"] = _Running(actor, 3)

    gateway._carry_out(Tell("rig/cpu", 3, run))
    (generation, message), *_ = actor.told
    assert (generation, message.ticket) == (3, 7)
    assert message.work.a.content == content
    gateway._carry_out(Tell("rig/cpu", 3, None))
    assert actor.told[1] == (3, None)

    path.unlink()
    gateway._carry_out(Tell("rig/cpu", 3, run))
    assert len(actor.told) == 2
    (said,) = heard
    assert isinstance(said, Heard)
    assert isinstance(said.message, Failed)
    assert (said.device, said.generation, said.message.ticket) == ("rig/cpu", 3, 7)
    assert said.message.kind == "InvalidTask"
