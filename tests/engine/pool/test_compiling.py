"""A device that compiles its kernels for the first time is seen to do so."""

from rich.console import Console

from engine.monitor.state import Monitor
from engine.monitor.terminal.render import Size, draw
from engine.pool.messages import Setup
from engine.pool.pool import Pool
from engine.pool.processes import LocalProcesses
from tests.engine.pool.villains import compiling_child
from tests.processes import wait_until


def shown(snapshot, width):
    console = Console(width=width, height=24)
    with console.capture() as captured:
        console.print(draw(snapshot, Size(width, 24)))
    return captured.get()


def test_how_far_it_is_until_the_device_takes_work(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.pool.compiling.SAY_AGAIN_SECONDS", 0.1)
    monitor = Monitor()

    def launch(setup):
        return LocalProcesses(setup, entry=compiling_child)

    with Pool(["reference"], monitor, setup=Setup(threads=1), launch=launch) as pool:
        seen = wait_until(
            lambda: (s := monitor.snapshot()).state == "compiling" and s.devices[0].compiled and s,
            lambda: f"the second word: {monitor.snapshot()}",
        )
        (device,) = seen.devices
        assert (device.state, device.compiled) == ("compiling", 0.25)
        assert "compiling 25 %" in shown(seen, 80)
        assert "compiling ■■□□□□□□□□ 25 %" in shown(seen, 120)
        assert seen.events[-1].line.endswith("1 of 4")
        again = "reference: compiling kernels for this CPU, once: 1 of 4"
        wait_until(
            lambda: sum(event.line == again for event in monitor.snapshot().events) >= 2,
            "it to be said again, as that kernel takes long",
        )
        (tmp_path / "compiled").touch()
        pool.ready.wait()
        after = wait_until(lambda: (s := monitor.snapshot()).state != "compiling" and s, "its end")
    (device,) = after.devices
    assert (device.state, device.compiled) == ("idle", None)
