"""What is wrong with a command line, in our own words: Typer's are in English only.

except TyperException as error:
print_usage_error(error)
"""

import sys
from gettext import gettext as _
from typing import Any, get_args, get_origin

from typer.core import TyperArgument, TyperOption
from typer.exceptions import TyperException

_QUOTES = "'?"
"""Around a name that Typer says."""


def print_usage_error(error: TyperException) -> None:
    """Print the error to stderr, and how to get help; the help itself for a bare group."""
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message(), file=sys.stderr)  # noqa: T201
        return
    print(_("error: {error}").format(error=explain(error)), file=sys.stderr)  # noqa: T201
    if context is not None:
        line = _("Try: {command} --help").format(command=context.command_path)
        print(line, file=sys.stderr)  # noqa: T201


def explain(error: TyperException) -> str:
    """Return one sentence."""
    fields: Any = error
    match type(error).__name__:
        case "NoSuchOption":
            said = _("there is no option {name}").format(name=fields.option_name)
            near = sorted(fields.possibilities or ())
            return f"{said}. {_near(near)}" if near else said
        case "BadOptionUsage" if "not take" in error.message:
            return _("{name} takes no value").format(name=fields.option_name)
        case "BadOptionUsage":
            return _("{name} needs a value").format(name=fields.option_name)
        case "MissingParameter":
            return _("{name} is missing").format(name=name_of(fields.param))
        case "BadParameter" if error.message.endswith(" is not readable."):
            return _("{name}: this user may not read it").format(name=name_of(fields.param))
        case "BadParameter" if fields.param is not None:
            reason = wanted(fields.param) or error.message
            return f"{name_of(fields.param)}: {reason}"
        case _ if error.message.startswith("Got unexpected"):
            extra = error.message.partition("(s) (")[2].removesuffix(")")
            return _("unexpected argument: {extra}").format(extra=extra)
        case _ if error.message.startswith("No such command "):
            name, _dot, other = error.message[16:].partition(". Did you mean ")
            said = _("there is no command {name}").format(name=name.removesuffix("."))
            return f"{said}. {_near([other.strip(_QUOTES)])}" if other else said
        case _:
            return error.message


def _near(names: list[str]) -> str:
    return _("Did you mean {name}?").format(name=", ".join(names))


def name_of(parameter: TyperOption | TyperArgument) -> str:
    """Return --size, or ADDRESS."""
    if isinstance(parameter, TyperOption):
        return max(parameter.opts, key=len)
    return parameter.name.upper()


def wanted(parameter: TyperOption | TyperArgument) -> str:
    """Return what a value must be; empty where Typer knows more than the type."""
    annotation: Any = parameter.type_descriptor.annotation
    if get_origin(annotation) is list:
        (annotation,) = get_args(annotation)
    info = parameter.type_descriptor.parameter_info
    choices = parameter.type_descriptor.choices
    if choices:
        return _("must be one of: {names}").format(names=", ".join(map(str, choices)))
    if annotation is bool:
        return _("must be true or false")
    if annotation is int:
        return _range(_("must be a whole number"), info.min, info.max)
    if annotation is float:
        return _range(_("must be a number"), info.min, info.max)
    return ""


def _range(kind: str, smallest: float | None, largest: float | None) -> str:
    least, most = (
        f"{bound:g}" if isinstance(bound, float) else bound for bound in (smallest, largest)
    )
    if least is not None and most is not None:
        return _("{kind} from {least} to {most}").format(kind=kind, least=least, most=most)
    if least is not None:
        return _("{kind}, {least} or more").format(kind=kind, least=least)
    if most is not None:
        return _("{kind}, {most} at most").format(kind=kind, most=most)
    return kind
