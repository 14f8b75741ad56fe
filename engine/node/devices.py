"""The devices of a request: this machine's, or a farm's."""

from functools import partial
from gettext import gettext as _
from typing import Any

from engine.monitor.events.pool import GpuSkipped
from engine.monitor.reporter import Reporter
from engine.node.request import NodeRequest
from engine.node.skipped_gpus import skipped_gpus
from engine.pool.pool import Launch
from engine.pool.processes import LocalProcesses
from engine.runtime.errors import BadInput
from kernels.devices import chosen_devices
from kernels.work.synthetic import SyntheticWork


def devices_of(request: NodeRequest, report: Reporter) -> tuple[tuple[str, ...], Launch]:
    """Return the devices known now, and what starts their children: processes here, or a farm.

    Report each GPU of this machine that is not among them, and why.
    """
    if request.ray is None:
        return _devices_here(request, report), LocalProcesses
    from engine.pool.ray.launcher import Farm  # Ray's machines: nobody else pays for it

    if request.devices not in (("auto",), ("cpu",), ("cuda",)):
        raise BadInput(
            _("with --ray, --device cannot name one machine's card"),
            advice=_(
                "Use --device cuda or --device cpu for that kind alone, or leave it out for both."
            ),
        )
    wanted: Any = request.devices[0]
    farm: Any = partial(Farm, request.ray, wanted=wanted)
    return (), farm


def _devices_here(request: NodeRequest, report: Reporter) -> tuple[str, ...]:
    """Leave out of auto what cannot compute; what was named is tried all the same."""
    needed = 0
    if request.mining is not None:
        needed = SyntheticWork(request.mining.typical_task, openings=1).card_bytes
    skipped = skipped_gpus(request.devices, needed=needed)
    for one in skipped:
        if one.by_choice or "auto" in request.devices:
            report(GpuSkipped(one.device, one.reason, one.model, one.fix, one.by_choice))
    out = {one.device for one in skipped}.difference(request.devices)
    chosen = tuple(name for name in chosen_devices(request.devices) if name not in out)
    return chosen or ("cpu",)
