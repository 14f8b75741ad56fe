"""The devices of a request: this machine's, or a farm's."""

from functools import partial
from gettext import gettext as _
from typing import Any

from engine.node.request import NodeRequest
from engine.pool.pool import Launch
from engine.pool.processes import LocalProcesses
from engine.runtime.errors import BadInput
from kernels.devices import chosen_devices


def devices_of(request: NodeRequest) -> tuple[tuple[str, ...], Launch]:
    """Return the devices known now, and what starts their children: processes here, or a farm."""
    if request.ray is None:
        return chosen_devices(request.devices), LocalProcesses
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
