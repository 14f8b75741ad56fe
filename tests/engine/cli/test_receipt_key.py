"""The key that signs receipts, which the first `validator serve` makes."""

import os
import subprocess
import sys

import pytest

from tests.processes import PATIENCE_SECONDS, end

KEYS = """
from engine.cli.validator import ReceiptOptions
import node_client.keystore
options = [ReceiptOptions(receipt_key=f"receipts{number}") for number in range(8)]
print("ready", flush=True)
input()
print(*(one.key().address for one in options), flush=True)
"""


@pytest.mark.slow  # it starts four processes
def test_validators_that_start_at_the_same_time_make_one_key_and_all_use_it(tmp_path):
    environment = os.environ | {"CPC_KEYS": str(tmp_path / "keys"), "CPC_KEY_PASSPHRASE": ""}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", KEYS]
    starting = [subprocess.Popen(command, env=environment, **pipes) for _ in range(4)]
    try:
        assert [one.stdout.readline() for one in starting] == ["ready\n"] * 4
        for one in starting:
            one.stdin.write("\n")
            one.stdin.flush()
        said = {one.communicate(timeout=PATIENCE_SECONDS)[0] for one in starting}
    finally:
        end(*starting)
    assert len(said) == 1
    assert len(said.pop().split()) == 8
