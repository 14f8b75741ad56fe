"""The command line. `main` is what the `cpc-engine` script calls.

Nothing heavy is imported before it is needed: `cpc-engine --help` answers without numba, pydantic
or requests. One file a command group; `app.py` joins them, `failure.py` turns errors into sentences.
"""


def main() -> None:
    """Run the command line and exit with its code."""
    from engine.cli.app import run

    raise SystemExit(run())
