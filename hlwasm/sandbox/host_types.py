"""Which Python objects can stand for a host resource.

Any object that has the methods which the component imports; where the user gave a class for
the resource, its objects do. None never stands for a resource: it is what a function returns
that forgot to return one.
"""

from __future__ import annotations

from typing import Any

from hlwasm.codec.checks import short
from hlwasm.errors import WitTypeError
from hlwasm.wit.model import Description
from hlwasm.wit.names import python_function_name


def all_fit(description: Description, type_index: int, given: Any, value: Any) -> bool:
    """Whether all objects of the value's class can stand for a resource of the type.

    Args:
        given: what the user gave under the resource's name; it matters if it is a class.

    Raises:
        WitTypeError: this one cannot; without a path.
    """
    if isinstance(given, type) and isinstance(value, given):
        return True
    methods = [
        python_function_name(function.name)
        for function in description.imports
        if function.resource == type_index and function.kind == "method"
    ]
    missing = [name for name in methods if not hasattr(value, name)]
    if value is not None and not missing and (methods or not isinstance(given, type)):
        return all(hasattr(type(value), name) for name in methods)
    wanted = [f"an object of class {given.__qualname__}"] if isinstance(given, type) else []
    if methods:
        wanted.append(f"one that has {', '.join(methods)}")
    name = description.types[type_index].name
    lacks = f", which has no {', '.join(missing)}" if missing and value is not None else ""
    raise WitTypeError(
        f"expected a {name}, {' or '.join(wanted) or 'any object'}, got {short(value)}{lacks}"
    )
