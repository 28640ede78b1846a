"""The kitchen sink in Python: every value goes to the host and back, or straight back."""

import inspect

import wit_world
from componentize_py_types import Err, Ok
from wit_world.imports import values


def echo(self, value):
    """A result is returned as its payload, or raised."""
    if isinstance(value, Err):
        raise value
    return value.value if isinstance(value, Ok) else value


def gather(self, *parameters):
    return parameters


def relay(function):
    return lambda self, *parameters: function(*parameters)


class Values:
    """Asks the host."""


class Echo:
    """Answers by itself."""


for name, function in inspect.getmembers(values, inspect.isfunction):
    setattr(Values, name, relay(function))
    one = len(inspect.signature(function).parameters) == 1
    setattr(Echo, name, echo if one else gather)


class WitWorld:
    def thrice(self, value: int) -> int:
        return wit_world.twice(value) + value

    def touch(self) -> None:
        wit_world.note("touched", 7)
        wit_world.note("", None)

    def pass_mixed(self, value):
        return wit_world.pass_mixed(value)

    def pass_outer(self, value, label, count):
        return wit_world.pass_outer(value, label, count)
