"""What every package stands on.

Read them in this order:

    database.py     SQLite files: locked, versioned, written ahead
    errors.py       the engine's tree of errors
    settings.py     how a setting is declared: once, as a field of a dataclass
    closing.py      `with` for whatever has `close()`
    paths.py        where state lies
    streams.py      stdin, stdout and stderr, also where they are closed
    signals.py      SIGTERM, SIGINT and SIGHUP
    systemd.py      the service manager's protocol
    trace.py        spans of time, for a viewer
    i18n.py         languages
    packages.py     other projects' packages under our import names
    program_files.py  whether the program on the disk is the one that runs
    hardening.py    private files, and no core dump of a key
    confinement.py  what a child gives up: keys, network, privileges
    child_entry.py  what a child process does first: it asks to die with its parent
    safe_path.py    no process that is started here imports from the working directory
"""
