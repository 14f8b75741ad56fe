"""What a child gives up for good, before it opens its device: keys, network, privileges.

    hide_from_children(keystore.directory)   # in the parent
    confine()                                # in a child

A child runs a driver, a compiler and job kinds of others. Its results are checked, and it is given no
key; this keeps it from fetching one. On Linux:

* no new privileges (prctl(2), PR_SET_NO_NEW_PRIVS): no set-user-id program helps it;
* the hidden directory cannot be read or written (Landlock, landlock(7), kernel 5.13), nor can another
  process of the same user be traced. Landlock allows what it is told of, so every neighbour of the
  hidden directory is named, and every neighbour of its parents. What is made later beside those is
  closed to the child, too: it is given everything that it needs before;
* no socket but local ones, and no io_uring, which could open others (seccomp(2), x86-64, AArch64).

Each is left out where the kernel lacks it: `confine` says what holds. CPC_CONFINE=0 (`--no-confine`)
switches all of it off.
"""

import ctypes
import errno
import os
import platform
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

from kernels.cache import cache_directory
from kernels.private_path import make_private

SWITCH = "CPC_CONFINE"
_HIDDEN = "CPC_HIDDEN"

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2  # <linux/prctl.h>
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # on every architecture
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1  # <linux/landlock.h>
_RIGHTS_BY_VERSION = (0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
"""Access rights of the file system that each version of Landlock's interface knows."""
_RIGHTS_OF_FILES = 0x1 | 0x2 | 0x4 | 0x4000 | 0x8000
"""Execute, write, read, truncate, ioctl: the others are of directories only."""


def hide_from_children(directory: Path) -> None:
    """Children that are started from now on have no access to this directory."""
    os.environ[_HIDDEN] = str(directory.absolute())


def is_wanted() -> bool:
    """Whether children are confined: not with CPC_CONFINE=0."""
    return os.environ.get(SWITCH, "1") != "0"


def confine() -> list[str]:
    """Confine this process, and say what holds from now on. Never raises."""
    if sys.platform != "linux" or not is_wanted():
        return []
    with suppress(OSError):  # the first start's: what is made later is closed to it
        make_private(cache_directory())
    holds = []
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        holds.append(_("no new privileges"))
        usual = os.path.expanduser("~/.computechain/keys")  # noqa: PTH111 - there may be no home
        hidden = os.environ.get(_HIDDEN) or os.environ.get("CPC_KEYS") or usual
        if _hide(libc, Path(hidden)):
            holds.append(_("no access to the keys"))
        if _refuse_sockets(libc):
            holds.append(_("no network"))
    return holds


def available() -> list[str]:
    """What `confine` would achieve on this machine, nothing of it done. Empty where it is off."""
    if sys.platform != "linux" or not is_wanted():
        return []
    version = ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    filters = Path("/proc/sys/kernel/seccomp/actions_avail").exists()
    possible = {
        _("no new privileges"): True,
        _("no access to the keys"): version >= 1,
        _("no network"): filters and platform.machine() in _MACHINES,
    }
    return [what for what, holds in possible.items() if holds]


def _hide(libc: ctypes.CDLL, hidden: Path) -> bool:
    """Give up the directory. False where this kernel has no Landlock, or it is switched off."""
    version = libc.syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    if version < 1:
        return False
    rights = _RIGHTS_BY_VERSION[min(version, len(_RIGHTS_BY_VERSION) - 1)]
    # struct landlock_ruleset_attr grew: rights of files; TCP (bind, connect); abstract local
    # sockets and signals, neither of which may leave the processes that this one starts.
    members = [rights, *([0x3] if version >= 4 else []), *([0x3] if version >= 6 else [])]
    attributes = struct.pack(f"={len(members)}Q", *members)
    rules = libc.syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0:
        return False
    try:
        for neighbour in _neighbours(Path(os.path.realpath(hidden))):
            _allow(libc, rules, neighbour, rights)
        return bool(libc.syscall(_RESTRICT_SELF, rules, 0) == 0)
    finally:
        os.close(rules)


def _neighbours(hidden: Path) -> Iterator[Path]:
    """Everything that is neither the directory nor above it: one entry for each hierarchy."""
    for directory, kept_out in zip(hidden.parents, (hidden, *hidden.parents), strict=False):
        try:
            entries = list(os.scandir(directory))
        except OSError:
            continue
        for entry in entries:
            if entry.name != kept_out.name and not entry.is_symlink():
                yield Path(entry.path)


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return  # gone meanwhile
    try:
        # struct landlock_path_beneath_attr is packed: 64 bits of rights, 32 of a descriptor.
        allowed = rights if path.is_dir() else rights & _RIGHTS_OF_FILES
        rule = struct.pack("=Qi", allowed, descriptor)
        libc.syscall(_ADD_RULE, rules, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)


_MACHINES = {  # AUDIT_ARCH_* of <linux/audit.h>, the number of socket(2)
    "x86_64": (0xC000003E, 41),
    "aarch64": (0xC00000B7, 198),
}
_IO_URING_SETUP = 425
_X32_BIT = 0x40000000
_AF_UNIX, _AF_NETLINK = 1, 16
_LOAD, _EQUAL, _BITS, _RETURN = 0x20, 0x15, 0x45, 0x06  # <linux/bpf_common.h>
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO


def _refuse_sockets(libc: ctypes.CDLL) -> bool:
    """Let socket(2) make local and netlink sockets only. False where that cannot be asked for."""
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    architecture, socket_number = machine
    refuse = _REFUSE | errno.EACCES
    # Offsets of <linux/seccomp.h>, struct seccomp_data: 0 the call's number, 4 the architecture,
    # 16 the low half of the first argument (both machines are little-endian).
    program = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, 8, architecture),  # another one: refuse
        (_LOAD, 0, 0, 0),
        (_BITS, 6, 0, _X32_BIT),
        (_EQUAL, 5, 0, _IO_URING_SETUP),
        (_EQUAL, 0, 3, socket_number),  # not socket(2): allow
        (_LOAD, 0, 0, 16),
        (_EQUAL, 1, 0, _AF_UNIX),
        (_EQUAL, 0, 1, _AF_NETLINK),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, refuse),
    ]
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    kept = ctypes.create_string_buffer(code, len(code))
    header = struct.pack("@HP", len(program), ctypes.addressof(kept))
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) == 0)
