"""Options from dataclasses: a command takes whole groups of settings, each declared in one place.

    @with_options
    def work(key: WorkerKey, sending: SendingOptions, json: Json = False) -> None: ...

Each field of such a dataclass (`engine.runtime.settings`) becomes an option of the command. A default
of the parameter itself stands over those of its fields: `matrix: MatrixOptions = LARGE`.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import Field, is_dataclass
from types import GenericAlias
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from engine.cli.config.completion import completer
from engine.runtime.settings import Setting, declared

type Groups = Mapping[str, Any]
"""A command's groups: name of the parameter, and the group with the command's defaults."""


def with_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return the function with an option for each setting of its dataclass parameters."""
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function, eval_str=True).parameters.values():
        kind: Any = parameter.annotation
        if is_dataclass(kind):
            assert isinstance(kind, type)
            without_default = parameter.default is inspect.Parameter.empty
            groups[parameter.name] = kind() if without_default else parameter.default
            parameters += _options(kind, groups[parameter.name])
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    def command(**values: Any) -> None:
        made = {name: made_of(type(group), values) for name, group in groups.items()}
        taken = {one.name for group in groups.values() for one, _told in declared(group)}
        function(**made, **{name: values[name] for name in values.keys() - taken})

    command.__doc__, command.__name__ = function.__doc__, function.__name__
    command.__module__ = function.__module__
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.option_groups = groups  # type: ignore[attr-defined]
    return command


def groups_of(callback: Callable[..., Any] | None) -> Groups:
    """Return the groups of a command's function; none where it takes single options alone."""
    found: Groups = getattr(callback, "option_groups", {})
    return found


def made_of[T](group: type[T], values: Mapping[str, Any]) -> T:
    """Return the group with these values, by its fields' names; an empty list is the default's."""
    made = {}
    for one, _told in declared(group):
        value = values[one.name]
        made[one.name] = (tuple(value) or one.default) if isinstance(value, list) else value
    return group(**made)


def key_of_field(one: Field[Any]) -> str:
    """Return the key of a setting: `tasks-per-block`."""
    return one.name.strip("_").replace("_", "-")


def _options(group: type, defaults: Any) -> list[inspect.Parameter]:
    types, heading = get_type_hints(group), getattr(group, "heading", None)
    return [
        _option(one, told, types[one.name], getattr(defaults, one.name), heading)
        for one, told in declared(group)
    ]


def _option(
    one: Field[Any], told: Setting, kind: Any, default: Any, heading: str | None
) -> inspect.Parameter:
    flag = "--" + key_of_field(one)
    if get_origin(kind) is tuple:
        kind, default = GenericAlias(list, get_args(kind)[:1]), list(default)
    if kind is bool and default:
        flag += "/--no-" + flag.removeprefix("--")
    option = typer.Option(
        flag,
        *([f"-{told.letter}"] if told.letter else []),
        metavar=told.metavar,
        rich_help_panel=heading,
        envvar=told.variable,
        autocompletion=completer(told.metavar),
        min=told.least,
        max=told.most,
        help=told.help,
        show_default=default is not False and default != [],
    )
    return inspect.Parameter(
        one.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, option],
    )
