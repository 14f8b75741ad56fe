"""SIGHUP: read the configuration again and change what a running engine can change.

    run_node(request, key, report, reread_on_hangup(context, report, live_of))

SIGHUP from a terminal that was closed means an orderly end.
"""

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException

from engine.cli.config import command_tree as tree
from engine.cli.config.global_options import path_of, settings_of
from engine.cli.config.groups import Groups, groups_of, made_of
from engine.cli.config.settings import find_file, read_settings
from engine.monitor.events.run import SettingChanged, SettingsRefused, SettingsSame, SettingWaits
from engine.monitor.reporter import Reporter
from engine.runtime.errors import BadInput
from engine.runtime.settings import declared

if TYPE_CHECKING:
    from engine.node.node import Attend, Node
    from engine.node.request import LiveChange

type LiveOf = Callable[[Groups], "LiveChange"]


def reread_on_hangup(context: typer.Context, report: Reporter, live_of: LiveOf) -> "Attend":
    """Return what reads the settings again on SIGHUP while the engine runs.

    `live_of` makes of the command's groups what the engine takes over; where it raises BadInput,
    nothing changes.
    """

    @contextmanager
    def attend(node: "Node") -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        hangups: queue.SimpleQueue[bool] = queue.SimpleQueue()  # its put() is reentrant
        terminals = [descriptor for descriptor in (0, 1, 2) if os.isatty(descriptor)]

        def listen() -> None:
            while hangups.get():
                if not all(map(os.isatty, terminals)):
                    node.stop()
                else:
                    reread(context, report, lambda groups: node.change(live_of(groups)))

        thread = threading.Thread(target=listen, name="reread", daemon=True)
        thread.start()
        before = signal.signal(signal.SIGHUP, lambda _number, _frame: hangups.put(True))
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, before)
            hangups.put(False)
            thread.join()

    return attend


def reread(context: typer.Context, report: Reporter, change: Callable[[Groups], None]) -> None:
    """Read the file, report what has changed, and hand the groups on where a live setting has."""
    groups = groups_of(context.command.callback)
    live = {field.name for group in groups.values() for field, told in declared(group) if told.live}
    try:
        values = _values_now(context)
        changed = [name for name, value in values.items() if value != context.params[name]]
        now = {name: values[name] for name in changed if name in live}
        if now:
            params = context.params | now
            change({name: made_of(type(group), params) for name, group in groups.items()})
            context.params.update(now)
    except (BadInput, TyperException) as error:
        report(SettingsRefused(str(error), getattr(error, "advice", "")))
        return
    for name in changed:
        value = "-" if values[name] is None else values[name]
        if name in live:
            report(SettingChanged(_key(context, name), value))
        else:
            report(SettingWaits(_key(context, name), value))
    if not changed:
        report(SettingsSame())


def _values_now(context: typer.Context) -> dict[str, Any]:
    """Return each setting that the file or a default decides, as it would be now."""
    program = context.find_root().command
    assert isinstance(program, TyperGroup)
    settings = read_settings(settings_of(context).path or find_file(None), program)
    context.default_map = settings.of(path_of(context))
    values = {}
    for option in _options(context):
        source = context.get_parameter_source(option.name)
        if source is not None and source.name in ("DEFAULT", "DEFAULT_MAP"):
            value, _source = option.consume_value(context, {})
            values[option.name] = option.process_value(context, value)
    return values


def _options(context: typer.Context) -> list[TyperOption]:
    command = context.command
    assert isinstance(command, TyperCommand)
    return tree.options_of(command)


def _key(context: typer.Context, name: str) -> str:
    return next(tree.key_of(option) for option in _options(context) if option.name == name)
