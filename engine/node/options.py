"""A devnet of its own for one run of `mine`."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

from engine.runtime.settings import setting


@dataclass(frozen=True, kw_only=True)
class SandboxOptions:
    """A devnet to try mining on."""

    heading: ClassVar[str] = _("Trying it out")

    devnet: bool = setting(False, _("Start a devnet, make and fund a key, mine on it."))
    block_time: float = setting(1.0, _("Seconds per block of the --devnet."), least=0.2)
