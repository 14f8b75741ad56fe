"""What NVIDIA's Xid numbers mean for mining: which card must get no more work.

After an Xid of this table NVIDIA's catalogue asks for a reset of the card, of the machine, or for
service: what the card computes then is not to be relied on. Every other Xid (13 and 31, say, which
are a program's own mistakes) is told, and what becomes of the child decides.

Source: NVIDIA, Xid Errors, "Analyzing Xid Errors with the Xid Catalog",
https://docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html
"""

from gettext import gettext as _


def needs_reset(number: int) -> str | None:
    """What is wrong with the card, None where its next child may go on."""
    return {
        46: _("the GPU stopped processing"),
        48: _("a double bit ECC error in its memory"),
        62: _("its micro-controller halted"),
        64: _("a broken row of its memory could not be replaced"),
        74: _("an NVLink error"),
        79: _("it has fallen off the bus"),
        95: _("an ECC error that was not contained"),
        110: _("a security fault"),
        119: _("its system processor does not answer"),
        120: _("an error of its system processor"),
        140: _("an ECC error that was not recovered"),
        143: _("it could not be initialised"),
    }.get(number)
