"""Check Python, packages, memory and ports of this machine."""

import math
import struct
import sys
from gettext import gettext as _
from importlib import metadata

from engine.monitor.formatting import gibibytes
from engine.monitor.http.server import listen_at, parse_address
from engine.node.preflight import Check
from engine.runtime.confinement import available, is_wanted
from engine.runtime.errors import BadInput
from engine.runtime.packages import advice, other_owners

LEAST_PYTHON = (3, 12)
PACKAGES = ("numba", "llvmlite", "numpy")
"""What the kernels need. Without the other packages this program could not have started."""
LEAST_FREE_MEMORY = 1 << 30


def check_python() -> Check:
    """Check the interpreter's version and build."""
    version = ".".join(map(str, sys.version_info[:3]))
    fix = _("Make the environment with another Python: make PYTHON=/path/to/python3.12 setup")
    if sys.version_info < LEAST_PYTHON:
        return Check(
            "python", "fail", _("{version}; 3.12 or newer is needed").format(version=version), fix
        )
    if struct.calcsize("P") < 8:
        return Check("python", "fail", _("{version}, a 32-bit build").format(version=version), fix)
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        found = _("{version} without the GIL, which Numba does not support").format(version=version)
        return Check("python", "warn", found, fix)
    return Check("python", "ok", version)


def check_packages() -> Check:
    """Check that the kernels' compiler is installed, and that no other project shares our names."""
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        names = ", ".join(missing)
        lacking = _("not installed: {names}").format(names=names)
        fix = _("Install again: make setup, or pipx reinstall cpc-engine")
        return Check("packages", "fail", lacking, fix)
    if others := other_owners():
        shared = _("another project shares import names with cpc-engine: {names}")
        return Check("packages", "warn", shared.format(names=", ".join(others)), advice())
    return Check("packages", "ok", ", ".join(found))


def check_memory(needed: int) -> Check:
    """Check that a task of the configured size fits; `needed` is its bytes on the CPU."""
    from kernels.memory import available_memory

    free = available_memory()
    found = _("{free} free, a task needs {needed} MiB").format(
        free=gibibytes(free), needed=math.ceil(needed / 2**20)
    )
    if free < needed:
        return Check("memory", "fail", found, _("Free memory, or use a smaller --size."))
    if free < needed + LEAST_FREE_MEMORY:
        return Check(
            "memory", "warn", found, _("Free memory: the task leaves little for other programs.")
        )
    return Check("memory", "ok", found)


def check_confinement() -> Check:
    """Tell what worker processes give up on this machine: keys, network, privileges."""
    holds = available()
    if not is_wanted():
        found = _("worker processes may open sockets and the key directory, as this user may")
        return Check("confinement", "warn", found, _("Leave --no-confine and CPC_CONFINE=0 out."))
    if len(holds) < 3:
        found = _("worker processes: {holds}").format(holds=", ".join(holds) or _("not confined"))
        fix = _("Linux 5.13 or newer with Landlock and seccomp, on x86-64 or AArch64, does more.")
        return Check("confinement", "warn", found, fix)
    return Check("confinement", "ok", _("worker processes: {holds}").format(holds=", ".join(holds)))


def check_port(address: str) -> Check:
    """Check that this program can listen at HOST:PORT."""
    try:
        listen_at(*parse_address(address)).close()
    except BadInput as error:
        fix = _("An engine may be running here: see cpc-engine status. Otherwise use another port.")
        return Check("port", "warn", str(error), fix)
    return Check("port", "ok", _("{address} is free").format(address=address))
