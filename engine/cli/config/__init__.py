"""The configuration of the command line.

Read them in this order:

    groups.py          a command takes whole dataclasses of settings, not single options
    command_tree.py    every option of every command, by its name in the file and the environment
    settings.py        engine.toml, read and checked against the tree
    global_options.py  options that hold before any command
    effective.py       the value in force of each option, and where it comes from
    reload.py          SIGHUP: what changes while the engine runs
    usage_errors.py    wrong options, told in one sentence
    command.py         `cpc-engine config`
"""
