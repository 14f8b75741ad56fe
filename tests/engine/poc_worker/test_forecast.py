"""Memory that a job will take is compared with what each device has."""

import pytest

from engine.jobs.kind import JobLimits, TooLarge
from engine.jobs.registry import load_kinds, parse_job
from engine.poc_worker.forecast import refuse_what_does_not_fit
from engine.pool.executor import DeviceStatus, PoolStatus
from kernels.memory import total_memory
from tests.engine.poc_worker.conftest import synthetic

GIB = 2**30


def device(**more):
    return DeviceStatus(
        **{"state": "idle", "reason": "", "paused": "", "pid": 1, "pace": {}} | more
    )


def task(size):
    return parse_job(
        load_kinds(), synthetic(size=size), JobLimits(65_536, memory_bytes=2**40), None
    )


def test_a_card_must_have_room_for_the_matrices_and_the_tree():
    status = PoolStatus({"cuda:0": device(), "cuda:1": device()})
    with pytest.raises(TooLarge, match=r"takes 832 MiB .* on a card, and cuda:1 has 700 MiB"):
        refuse_what_does_not_fit(
            task(16_384), status, {"cuda:0": 600 * 2**20, "cuda:1": 700 * 2**20}
        )
    refuse_what_does_not_fit(task(16_384), status, {"cuda:0": GIB, "cuda:1": GIB // 2})
    refuse_what_does_not_fit(task(16_384), status, {"cuda:0": GIB // 2})  # the other says nothing


def test_a_device_that_is_out_of_service_has_no_room():
    status = PoolStatus({"cuda:0": device(state="out"), "cuda:1": device()})
    with pytest.raises(TooLarge):
        refuse_what_does_not_fit(task(16_384), status, {"cuda:0": GIB, "cuda:1": GIB // 2})


class Plugin:
    """A job of a plug-in's, that needs twice what this machine has."""

    bytes_needed = 2 * total_memory()


def test_the_host_must_have_room_beside_what_the_worker_process_holds_already():
    refuse_what_does_not_fit(Plugin(), PoolStatus({"cpu": device(held=Plugin.bytes_needed)}), {})
    for name in ("cpu", "cuda:0"):  # a card's other jobs go through the host, too
        with pytest.raises(TooLarge, match=rf"takes [\d ]+ MiB of memory, and .* free for {name}"):
            refuse_what_does_not_fit(Plugin(), PoolStatus({name: device()}), {"cuda:0": GIB})


def test_a_worker_process_may_take_no_more_than_its_limit():
    status = PoolStatus({"cpu": device(allowed=50 * 2**20)})
    with pytest.raises(TooLarge, match=r"takes 80 MiB of memory, and cpu may take 50 MiB"):
        refuse_what_does_not_fit(task(8192), status, {})
    refuse_what_does_not_fit(task(4096), status, {})
