"""A whole call as text: ``ops.add(2, 3)``."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from hlwasm.wit.model import Description, Function, Option
from hlwasm.wit.names import parse_function_name, parse_interface_name
from hlwasm.wit.type_text import function_text
from hlwasm.wit.wave.lexer import WaveError
from hlwasm.wit.wave.parser import Parser

# Everything up to the opening parenthesis, but the parentheses of nothing else.
_CALLEE = re.compile(r"\s*([^\s(){}\"',]+)\s*(?=\()")

_TRAILING_VERSION = re.compile(r"@\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?\Z")


class Call(NamedTuple):
    """An exported function and the arguments for it."""

    function: Function
    arguments: list[Any]


def parse_call(
    description: Description, text: str, parser: type[Parser] = Parser, start: int = 0
) -> Call:
    """Reads a call of an exported function.

    The function is named as ``add``, ``ops.add``, ``demo:calc/ops.add`` or
    ``demo:calc/ops@1.0.0#add``, in WIT's spelling or in Python's. Arguments of option
    type that are ``none`` may be left out at the end.

    Args:
        description: of the component.
        text: the call.
        parser: reads the arguments.
        start: where in ``text`` the call begins.

    Raises:
        WaveError: there is no such function, several, or an argument does not fit.
    """
    match = _CALLEE.match(text, start)
    if match is None:
        raise WaveError(text, start, "expected a call such as interface.function(1, 2)")
    try:
        function = find_function(description, match[1])
    except LookupError as error:
        raise WaveError(text, match.start(1), str(error.args[0])) from None
    arguments = _arguments(function, parser(description, text, match.end()))
    return Call(function, arguments)


def find_function(description: Description, name: str) -> Function:
    """The exported function of this name; see :func:`parse_call`.

    Raises:
        LookupError: there is none or several; the message names them.
    """
    interface, last = _split(name)
    found = [
        each
        for each in description.exports
        if _same(each.name, last) and _interface_matches(each.interface, interface)
    ]
    if len(found) > 1:
        # A function before methods of the same name, which have longer names in WIT.
        found = [each for each in found if each.name == last] or found
    if len(found) == 1:
        return found[0]
    if not found:
        known = ", ".join(_full_name(each) for each in description.exports) or "nothing"
        meant = _meant(description, name)
        raise LookupError(f"the component exports no function {name}{meant}; it exports {known}")
    raise LookupError(f"{name} is ambiguous: {', '.join(_full_name(each) for each in found)}")


def _arguments(function: Function, parser: Parser) -> list[Any]:
    description = function.description
    signature = function_text(description, function)
    opening = parser.expect("(", signature)
    arguments: list[Any] = []
    for param in function.params:
        if parser.at(")"):
            break
        if arguments:
            parser.expect(",", signature)
            if parser.at(")"):
                break
        arguments.append(parser.value(param.type))
    if arguments and parser.at(","):
        parser.take()
    if not parser.at(")"):
        ended = parser.peek().kind == "end"
        raise parser.error(
            "the closing ) is missing" if ended else f"too many arguments for {signature}"
        )
    for param in function.params[len(arguments) :]:
        type_ = description.types[param.type] if isinstance(param.type, int) else None
        if not isinstance(type_, Option):
            raise parser.error(f"no argument for {param.name} of {signature}", opening)
        arguments.append(None)
    parser.take()
    parser.end()
    return arguments


def _split(name: str) -> tuple[str, str]:
    """Interface and function; versions and ``[static]blob.make`` contain dots of their own."""
    if "#" in name:
        interface, _, last = name.partition("#")
        return interface, last
    interface, bracket, last = name.partition("[")
    if bracket:
        return interface.rstrip("."), bracket + last
    version = _TRAILING_VERSION.search(name)
    if version is not None:
        # The version may also stand behind the function, as in ``a:b/ops.add@1.0.0``.
        name = name[: version.start()]
    interface, _, last = name.rpartition(".")
    return (f"{interface}{version[0]}" if version else interface), last


def _same(wit_name: str, given: str) -> bool:
    plain = parse_function_name(wit_name)
    return given in (wit_name, plain.name.replace("-", "_")) or (
        plain.kind == "function" and given == plain.name
    )


def _interface_matches(interface: str | None, given: str) -> bool:
    if not given:
        return True
    if interface is None:
        return False
    parsed = parse_interface_name(interface)
    package = f"{parsed.namespace}:{parsed.package}/{parsed.name}"
    return given in (interface, package, parsed.name, parsed.name.replace("-", "_"))


def _meant(description: Description, name: str) -> str:
    """What a misspelt name resembles, for the message."""
    # Only here: names that are right are the rule.
    from difflib import get_close_matches

    plain = (_full_name(each).rpartition("/")[2] for each in reversed(description.exports))
    dotted = [re.sub(r"(@[^#]*)?#", ".", each) for each in plain]
    # The first one, where several interfaces have the same.
    known = {each.rpartition(".")[2]: each for each in dotted} | {each: each for each in dotted}
    close = get_close_matches(name, known, n=1)
    return f": did you mean {known[close[0]]}?" if close else ""


def _full_name(function: Function) -> str:
    if function.interface is None:
        return function.name
    return f"{function.interface}#{function.name}"
