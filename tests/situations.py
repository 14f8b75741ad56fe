"""Places that a program may be started in, made for real: terminals, control groups, limits.

What a machine cannot make is skipped, with what it lacks for the reason.
"""

import contextlib
import os
import pty
import secrets
import shlex
import shutil
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from tests.processes import ENGINE, PATIENCE_SECONDS, end, started, wait_until

QUICK_MINE = "mine --devnet --block-time 0.2 --depth 1 --device reference --size 64"
"""Needs no node and no key."""


def run(line, *, shell="", prefix=(), timeout=PATIENCE_SECONDS, env=None, **options):
    """What `cpc-engine LINE` did. `shell`: redirections, and what bash does after the command."""
    command = [*prefix, *ENGINE, *shlex.split(line)]
    if shell:
        command = ["bash", "-c", f"{shlex.join(command)} {shell}"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=env or dict(os.environ),
        **options,
    )
    tells_no_bug(done.stdout, done.stderr)
    return done


def tells_no_bug(*texts):
    """Fail where one of them shows a traceback or calls something a bug."""
    for text in texts:
        assert "Traceback" not in text, text[-3000:]
        assert "This is a bug" not in text, text[-3000:]


@contextlib.contextmanager
def in_terminal(line, *, stdin_is_terminal=True):
    """`cpc-engine LINE` in a session with a terminal of its own; gives it, and the terminal's end."""
    ours, theirs = pty.openpty()

    def lead_session():
        os.setsid()
        ioctl(1, termios.TIOCSCTTY, 0)

    try:
        with started(
            [*ENGINE, *shlex.split(line)],
            env=os.environ | {"TERM": "xterm", "PYTHONUTF8": "1"},
            stdin=theirs if stdin_is_terminal else subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lead_session,
        ) as process:
            os.close(theirs)
            yield process, ours
    finally:
        with contextlib.suppress(OSError):
            os.close(ours)


@contextlib.contextmanager
def mining(*options):
    """A running `mine` with these options, its output read up to the first signed result."""
    with started(
        [*ENGINE, "mine", *options],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stdout:
            if ": signed with nonce" in line:
                break
        yield process
        end(process)
        process.communicate()


def alone_in_a_process_namespace():
    """The command that makes what follows it process 1."""
    prefix = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
    if os.geteuid() == 0:
        del prefix[1:3]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody make a process namespace")
    return prefix


@contextlib.contextmanager
def control_group(controller, **limits):
    """A version 1 control group below this process's own; gives the command that enters it.

    `limits`: file names of the controller, with _ for the dot, and what to write there.
    """
    own = {}
    for entry in Path("/proc/self/cgroup").read_text().splitlines():
        _number, names, path = entry.split(":", 2)
        own |= dict.fromkeys(names.split(","), path)
    group = Path(f"/sys/fs/cgroup/{controller}{own.get(controller, '')}")
    group /= f"cpc-test-{secrets.token_hex(4)}"
    try:
        group.mkdir()
        for name, value in limits.items():
            (group / name.replace("_", ".", 1)).write_text(str(value))
    except OSError as error:
        pytest.skip(f"no version 1 control group of {controller} can be made here: {error}")
    enter = f"open({str(group / 'cgroup.procs')!r}, 'w').write('0')"
    script = f"import os, sys; {enter}; os.execvp(sys.argv[1], sys.argv[1:])"
    try:
        yield [sys.executable, "-c", script]
    finally:  # multiprocessing's resource tracker ends a moment after its process
        if group.exists():
            wait_until(lambda: not (group / "cgroup.procs").read_text(), "the group to be empty")
            group.rmdir()


@contextlib.contextmanager
def version_2_mount(directory, files):
    """A mount of control groups, version 2, that shows `files`; gives the command that sees it.

    The kernel's own mount, with a directory of these files bound over it.
    """
    mounts = [line.split() for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    found = [fields[4] for fields in mounts if "cgroup2" in fields[6:]]
    if not found:
        pytest.skip("this machine has no mount of version 2 control groups")
    for name, content in files.items():
        (directory / name).write_text(content)
    own = next(
        line.removeprefix("0::")
        for line in Path("/proc/self/cgroup").read_text().splitlines()
        if line.startswith("0::")
    )
    bind = f'mount --bind {directory} {found[0]}{own.rstrip("/")} && exec "$@"'
    prefix = ["unshare", "-m", "bash", "-c", bind, "-"]
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root may mount here")
    yield prefix
