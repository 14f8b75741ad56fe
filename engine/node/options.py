"""Settings of the start: what a missing node means, and a devnet of its own for one run of `mine`."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

from engine.runtime.settings import setting


@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """What a node that does not answer means at the start."""

    heading: ClassVar[str] = _("Node")

    no_wait: bool = setting(
        False, _("End with exit code 3 where no node answers at the start, instead of waiting.")
    )


@dataclass(frozen=True, kw_only=True)
class SandboxOptions:
    """A devnet to try mining on."""

    heading: ClassVar[str] = _("Trying it out")

    devnet: bool = setting(False, _("Start a devnet, make and fund a key, mine on it."))
    block_time: float = setting(1.0, _("Seconds per block of the --devnet."), least=0.2)
