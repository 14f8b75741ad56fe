"""SIGHUP: the configuration is read again, and what can change in a running engine changes.

    mine_on(request, key, report, reread_on_hangup(context, report, LIVE, live_of))

Of a terminal that was closed, SIGHUP means the end, and an orderly one.
"""

import os
import queue
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption
from typer.exceptions import TyperException

from engine.cli.config import command_tree as tree
from engine.cli.config.global_options import path_of, settings_of
from engine.cli.config.settings import find_file, read_settings
from engine.monitor.events.run import SettingChanged, SettingsRefused, SettingsSame, SettingWaits
from engine.monitor.reporter import Reporter
from engine.runtime.errors import BadInput

if TYPE_CHECKING:
    from engine.mining.live import Live
    from engine.mining.loop import Miner
    from engine.node.node import Attend

type LiveOf = Callable[[Mapping[str, Any]], "Live"]


def reread_on_hangup(
    context: typer.Context, report: Reporter, live: Collection[str], live_of: LiveOf
) -> "Attend":
    """For `mine_on`. `live` names the parameters that may change; `live_of` makes them of all.

    `live_of` may raise BadInput: then nothing changes.
    """

    @contextmanager
    def attend(miner: "Miner") -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        hangups: queue.SimpleQueue[bool] = queue.SimpleQueue()  # whose put may interrupt itself
        terminal = os.isatty(0)

        def listen() -> None:
            while hangups.get():
                if terminal and not os.isatty(0):
                    miner.stop()
                else:
                    reread(context, report, live, lambda values: miner.change(live_of(values)))

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


def reread(
    context: typer.Context,
    report: Reporter,
    live: Collection[str],
    change: Callable[[Mapping[str, Any]], None],
) -> None:
    """Read the file, tell what is another value now, and hand all values on for the live ones."""
    try:
        values = _values_now(context)
        changed = [name for name, value in values.items() if value != context.params[name]]
        now = {name: values[name] for name in changed if name in live}
        if now:
            change(context.params | now)
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
    """Each setting that the file or a default may decide, as it would be now."""
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
