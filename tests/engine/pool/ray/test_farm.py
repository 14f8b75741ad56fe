"""A farm of real raylets on this machine, with a machine lost, one gained, and the gateway killed."""

import subprocess
import sys
from collections import Counter

import pytest

from engine.cli.app import run
from tests.engine.pool.ray.mining import Mining
from tests.engine.pool.ray.raylets import Raylets
from tests.processes import ENGINE, PATIENCE_SECONDS, spawned_children


def named(name, **fields):
    """Fits events of that name with these fields."""
    return lambda event: event["event"] == name and fields.items() <= event.items()


@pytest.mark.slow
@pytest.mark.first
def test_a_farm_answers_blocks_while_machines_and_the_gateway_come_and_go():
    arguments = ["--block-time", "0.5", "--tasks-per-block", "auto", "--size", "256"]
    with Raylets() as farm:
        first, _ = farm.add(), farm.add()
        with Mining(farm.address, *arguments) as mining:
            devices = {mining.wait_for(named("ready"))["device"] for _ in range(2)}
            assert len(devices) == 2
            for device in devices:
                mining.wait_for(named("computed", device=device), since=0)

            before = len(mining.events)
            farm.kill(first)
            farm.add()
            newcomer = mining.wait_for(named("device_joined"), since=before)["device"]
            assert newcomer not in devices
            assert mining.wait_for(named("device_left"), since=before)["device"] in devices
            mining.wait_for(named("computed", device=newcomer), since=before)

            (gateway,) = spawned_children(mining.process.pid)
            gateway.kill()
            mining.wait_for(named("farm_unreachable"))
            mining.wait_for(named("computed"))
            computed = {event["task_id"] for event in mining.of("computed")}
            for task_id in computed:
                mining.wait_for(named("confirmed", task_id=task_id), since=0)
            summary = mining.finish()

    assert not mining.of("out_of_service")
    results = summary["results"]
    assert {result["state"] for result in results if result["task_id"] in computed} == {"final"}
    assert max(Counter(result["task_id"] for result in results).values()) == 1
    assert summary["blocks_seen"] == len(mining.of("block"))
    answered = {result["height"] for result in results}
    skipped = {event["height"] for event in mining.of("skipped")}
    asked = {event["height"] for event in mining.of("block")}
    assert answered | skipped >= asked - {max(asked)}  # the last may be at work when it is ended
    assert {result["device"] for result in results} >= {newcomer}


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        pytest.param("127.0.0.1:1", "refused", marks=pytest.mark.slow),
        pytest.param("rig.invalid:6379", "known", marks=pytest.mark.slow),
        ("6379", "not HOST:PORT"),
    ],
)
def test_a_cluster_that_is_not_there_is_told_in_a_sentence(address, reason):
    ended = subprocess.run(
        [*ENGINE, "mine", "--devnet", "--ray", address],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
    )
    assert ended.returncode == 2
    assert f"{address} cannot be reached" in ended.stderr
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr + ended.stdout


def test_without_the_extra_the_mend_is_named_and_nothing_else_needs_ray():
    program = (
        "import sys; sys.modules['ray'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'ray' else find(name, *a)\n"
        "from engine.cli import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, "mine", "--devnet", "--ray", "auto"],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
    )
    assert ended.returncode == 2
    assert "-m pip install 'ray>=" in ended.stderr


@pytest.mark.parametrize("text", ["0", "many", "17", "-1", "1.5", ""])
def test_a_number_of_tasks_that_is_none_is_refused(text, capsys):
    assert run(["mine", "--devnet", "--tasks-per-block", text]) == 2
    assert "1 to 16, or auto" in capsys.readouterr().err


def test_one_device_of_one_machine_cannot_be_named_in_a_farm(capsys):
    assert run(["mine", "--devnet", "--ray", "auto", "--device", "cuda:0"]) == 2
    assert "--device cuda" in capsys.readouterr().err
