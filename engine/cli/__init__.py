"""The command line. `main` is what the `cpc-engine` script calls.

Nothing heavy is imported before it is needed: `cpc-engine --help` answers without numba, pydantic
or requests. One file a command group; `app.py` joins them, `failure.py` turns errors into sentences.
"""

import signal
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from engine.runtime.hardening import restrict_files
    from engine.runtime.i18n import asked_language, replace_unencodable, speak
    from engine.runtime.packages import why_hidden

    restrict_files()
    replace_unencodable()
    # A caller that ignores it (trap '' CHLD) leaves it ignored: no child's end would ever be seen.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    speak(asked_language(sys.argv[1:]))  # before the import: help texts are made by it
    if (reason := why_hidden()) is not None:  # before anything imports what it would not be
        print(reason, file=sys.stderr)  # noqa: T201
        raise SystemExit(2)
    try:
        from engine.cli.app import run

        code = run()
    except KeyboardInterrupt:  # while the program was still being loaded
        code = 130
    raise SystemExit(code)
