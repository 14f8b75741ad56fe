"""The doctor on machines that lack something, each lack a real one where this machine can have it."""

import os
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from engine.doctor import machine
from engine.doctor.account import check_chain, check_key
from engine.doctor.device_test import check_device, main
from engine.doctor.gpus import check_cards
from engine.node.preflight import check_disk, check_switches
from node_client.devnet import DevnetServer
from node_client.keystore import Keystore
from tests.engine.doctor.nvml import ADA, HOPPER, KEPLER, Nvml, bus


def states(checks):
    return {check.name: check.state for check in checks}


def test_no_card_is_no_trouble_unless_one_was_asked_for(tmp_path):
    nothing = check_cards(Nvml(broken="Driver Not Loaded"), pci=tmp_path / "none")
    assert states(nothing) == {"driver": "ok"}
    (asked,) = check_cards(Nvml(broken="Driver Not Loaded"), pci=tmp_path / "none", wanted=True)
    assert asked.state == "fail"
    assert "Driver Not Loaded" in asked.found
    (other,) = check_cards(Nvml(broken="x"), pci=bus(tmp_path, vendor="0x1002"))
    assert other.state == "ok"


def test_a_card_without_its_driver_gets_the_fix(tmp_path):
    (driver,) = check_cards(Nvml(broken="Driver Not Loaded"), pci=bus(tmp_path))
    assert driver.state == "warn"
    assert "Install NVIDIA's driver" in driver.fix


def test_a_card_at_its_highest_limit_of_power_gets_a_hint_and_no_other(tmp_path):
    cards = [ADA | {"watts": watts} for watts in ((450, 150, 450), (300, 150, 450))]
    found = {check.name: check for check in check_cards(Nvml([*cards, ADA]), pci=tmp_path)}
    assert "highest, 450 W" in found["cuda:0"].fix
    assert "-i 0 -pl" in found["cuda:0"].fix
    assert found["cuda:0"].state == "ok"
    assert found["cuda:1"].fix == found["cuda:2"].fix == ""


def test_cards_are_told_with_what_is_wrong_with_each(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    nvml = Nvml([ADA, KEPLER, None, HOPPER])
    checks = {check.name: check for check in check_cards(nvml, pci=tmp_path)}
    assert checks["driver"].found == "570.86.15, CUDA 12.8"
    assert checks["cuda:0"].state == "ok"
    assert "RTX 4090, compute capability 8.9" in checks["cuda:0"].found
    assert checks["cuda:1"].state == "fail"
    assert checks["cuda:2"].state == "fail"
    assert "GPU is lost" in checks["cuda:2"].found
    assert checks["cuda:3"].state == "warn"
    assert "3 memory errors" in checks["cuda:3"].found
    assert nvml.ended == 1


@pytest.mark.parametrize(
    ("versions", "cuda", "state", "fix"),
    [
        ({}, 12080, "warn", "CUDA=12"),
        ({}, 13010, "warn", "CUDA=13"),
        ({"numba-cuda": "0.30.4", "cuda-bindings": "13.5.0"}, 12080, "fail", "CUDA=12"),
        ({"numba-cuda": "0.30.4", "cuda-bindings": "12.9.1"}, 13010, "ok", ""),
        ({"numba-cuda": "0.30.4", "cuda-bindings": "11.8.0"}, 11080, "fail", "Update"),
    ],
)
def test_cuda_packages_must_fit_the_driver(tmp_path, monkeypatch, versions, cuda, state, fix):
    from engine.doctor import gpus as cards

    def version(name):
        if name not in versions:
            error = cards.metadata.PackageNotFoundError()
            error.args = (name,)
            raise error
        return versions[name]

    monkeypatch.setattr(cards.metadata, "version", version)
    checks = {check.name: check for check in check_cards(Nvml([ADA], cuda=cuda), pci=tmp_path)}
    assert checks["cuda packages"].state == state
    assert fix in checks["cuda packages"].fix


def test_the_trial_computes_in_a_process_of_its_own():
    check = check_device("cpu")
    assert check.state == "ok", check
    assert "cpu passed" in check.found


def test_a_device_that_is_not_there_is_a_finding_with_its_fix():
    check = check_device("cuda:7")
    assert check.state == "fail"
    assert check.fix
    assert "error" in main("cuda:7")


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exec sleep 60", "no answer within"),  # exec: killing a shell would leave its child
        (f"kill -{signal.SIGSEGV.value} $$", "SIGSEGV"),
        ("echo broken >&2; exit 7", "exit code 7: broken"),
        ("echo not json", "exit code 0"),
    ],
)
def test_a_trial_that_hangs_or_dies_is_a_finding(tmp_path, monkeypatch, script, says):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    check = check_device("cpu", patience=1.0 if "sleep" in script else 30)
    assert check.state == "fail"
    assert says in check.found
    assert check.fix


def test_the_trial_gets_no_passphrase(tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho "{\\"seconds\\": 1, \\"how\\": \\"x$CPC_PASSPHRASE\\"}"\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setenv("CPC_PASSPHRASE", "hunter2")
    assert "hunter2" not in check_device("cpu").found
    assert os.environ["CPC_PASSPHRASE"] == "hunter2"


def test_packages_that_are_missing(monkeypatch):
    assert machine.check_packages().state == "ok"
    monkeypatch.setattr(machine, "PACKAGES", ("numpy", "no-such-package"))
    check = machine.check_packages()
    assert check.state == "fail"
    assert "no-such-package" in check.found


def test_python_memory_and_ports():
    assert machine.check_python().state == "ok"
    assert machine.check_memory(1 << 20).state == "ok"
    assert machine.check_memory(1 << 60).state == "fail"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert machine.check_port(address).state == "warn"
    assert machine.check_port(address).state == "ok"
    assert machine.check_port("[::1]:0").state in ("ok", "warn")  # this machine may have no IPv6
    for nonsense in ("", "x", "127.0.0.1:", "127.0.0.1:99999999", "no.such.host.invalid:1"):
        assert machine.check_port(nonsense).state == "warn"


def test_a_ledger_has_a_place_it_can_be_written_to(tmp_path):
    assert check_disk(tmp_path / "not" / "there").state == "ok"
    file = tmp_path / "file"
    file.touch()
    assert check_disk(file).state == "fail"
    assert check_disk(file / "below").state == "fail"


def test_a_key_s_files(tmp_path):
    store = Keystore(tmp_path / "keys")
    address, (missing,) = check_key("worker", store.directory, None)
    assert address is None
    assert missing.state == "fail"
    info = store.create("worker")
    assert states(check_key("worker", store.directory, None)[1]) == {"key": "ok"}
    Path(info.path).chmod(0o644)
    address, (open_to_all,) = check_key("worker", store.directory, None)
    assert address == info.address
    assert open_to_all.state == "fail"
    assert f"chmod 600 {info.path}" in open_to_all.fix
    Path(info.path).write_text('{"address": "nonsense"}')
    assert states(check_key("worker", store.directory, None)[1]) == {"key": "fail"}


def test_an_encrypted_key_needs_its_passphrase_from_somewhere(tmp_path, monkeypatch):
    monkeypatch.delenv("CPC_PASSPHRASE", raising=False)
    store = Keystore(tmp_path / "keys")
    store.create("worker", "correct horse")
    words = tmp_path / "words"

    def state(file):
        return states(check_key("worker", store.directory, file)[1])["passphrase"]

    assert state(None) == "warn"
    assert state(words) == "fail"
    words.write_text("correct horse\n")
    words.chmod(stat.S_IRUSR | stat.S_IRGRP)
    assert state(words) == "fail"
    words.chmod(stat.S_IRUSR)
    assert state(words) == "ok"
    monkeypatch.setenv("CPC_PASSPHRASE", "correct horse")
    assert state(None) == "ok"


def test_nodes_are_looked_at_one_by_one(tmp_path):
    info = Keystore(tmp_path).create("worker")
    nobody = "http://127.0.0.1:9"
    alone = check_chain([nobody], info.address, None)
    assert states(alone) == {
        "node": "fail", "network": "skip", "clock": "skip", "gas price": "skip", "balance": "skip",
    }  # fmt: skip
    assert "curl" in alone[0].fix
    with DevnetServer(block_time=0.3) as devnet:
        checks = check_chain([nobody, devnet.url], info.address, None)
        assert [check.state for check in checks[:2]] == ["warn", "ok"]
        found = states(checks[2:])
        assert found["network"] == found["clock"] == found["gas price"] == "ok"
        assert found["balance"] == "fail"  # nobody funded it
        assert states(check_chain([devnet.url], info.address, 1))["gas price"] == "fail"


def test_plain_http_to_another_machine_is_warned_about():
    not_loopback = "http://0.0.0.0:9"
    assert states(check_chain([not_loopback], None, None))["transport"] == "warn"
    assert "transport" not in states(check_chain(["http://localhost:9"], None, None))


def test_a_test_that_is_switched_off_and_what_was_not_checked_do_not_look_right(monkeypatch):
    monkeypatch.delenv("CPC_CARD_JOBS", raising=False)
    assert check_switches() == []
    monkeypatch.setenv("CPC_CARD_JOBS", "1")
    (off,) = check_switches()
    assert (off.state, "no test has shown" in off.found) == ("warn", True)
    assert states(check_chain(["http://127.0.0.1:9"], None, None)) == {
        "node": "fail",
        **dict.fromkeys(("network", "clock", "gas price", "balance"), "skip"),
    }
