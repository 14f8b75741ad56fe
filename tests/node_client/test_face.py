"""The public face: what `node_client` exports, and what importing it does not bring in."""

import os
import subprocess
import sys

import node_client
from node_client import errors
from tests.processes import PATIENCE_SECONDS


def test_everything_exported_is_there_and_nothing_else() -> None:
    exported = {name for name in vars(node_client) if not name.startswith("_")}
    modules = {name for name in exported if type(getattr(node_client, name)).__name__ == "module"}
    assert exported - modules == set(node_client.__all__)


def test_importing_it_brings_no_kernel_and_no_engine() -> None:
    code = (
        "import sys, node_client\n"
        "heavy = {'numba', 'llvmlite', 'numpy', 'fastapi', 'uvicorn', 'kernels', 'engine', 'typer'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    told = subprocess.check_output(
        [sys.executable, "-c", code], text=True, timeout=PATIENCE_SECONDS
    )
    assert told.strip() == "[]"


def test_no_process_that_an_import_starts_inherits_the_passphrase() -> None:
    """pycryptodome runs `file` when it is loaded."""
    code = (
        "import os, sys\n"
        "starts = []\n"
        "def see(event, arguments):\n"
        "    if event == 'subprocess.Popen':\n"
        "        environment = arguments[3] or os.environ\n"
        "        starts.append('CPC_PASSPHRASE' in environment)\n"
        "sys.addaudithook(see)\n"
        "import node_client, engine.node.node\n"
        "from node_client.passphrase import passphrase_source\n"
        "print(any(starts), passphrase_source()())"
    )
    environment = os.environ | {"CPC_PASSPHRASE": "hunter2"}
    told = subprocess.check_output(
        [sys.executable, "-c", code], text=True, timeout=PATIENCE_SECONDS, env=environment
    )
    assert told.split() == ["False", "hunter2"]


def test_every_error_is_in_the_tree_and_drawn_in_it() -> None:
    classes = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert all(issubclass(kind, errors.NodeClientError) for kind in classes.values())
    assert all(name in (errors.__doc__ or "") for name in classes)
    assert all(kind.advice for kind in classes.values() if kind is not errors.NodeClientError)
