"""An arena, and the script of docs/receipts.md as a function."""

import importlib.util
from pathlib import Path

import pytest

from tests.engine.receipts.market import Computer, inference
from tests.engine.validator.arena import Arena

SCRIPT = Path(__file__).parents[3] / "docs/receipt_verify.py"


@pytest.fixture
def arena(tmp_path):
    made = []

    def make(**more):
        made.append(Arena(tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def by_script():
    """`by_script(file, validator=None, output=None)` gives the exit code of the independent script."""
    spec = importlib.util.spec_from_file_location("receipt_verify", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)

    def call(file, validator=None, output=None):
        try:
            script.main(file, validator, output)
        except SystemExit as end:
            return end.code
        except (script.BadSignatureError, ValueError, KeyError, TypeError, AssertionError) as error:
            return str(error) or type(error).__name__
        return 0

    return call


@pytest.fixture
def layered(arena):
    """A receipt of a result that commits to its layers, and the result's bytes."""
    one = arena()
    worker = one.join(Computer)
    task_id = one.post(inference(layers=True))
    ((_work, outcome),) = worker.jobs.values()
    return one.store.receipts.find(task_id), outcome.data
