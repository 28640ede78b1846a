"""Lists of numbers as Python sees them: lists, arrays or NumPy arrays.

``list<u8>`` is bytes, unless NumPy arrays are wanted. Lists of bool and char are lists always:
their elements are not what lies in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from hlwasm.codec.buffers import NUMBER_FORMAT
from hlwasm.wit.model import NumberLists

if TYPE_CHECKING:
    from hlwasm.codec.source import Source


def check_number_lists(number_lists: str) -> None:
    """Refuses what is no choice, or not possible here.

    Raises:
        ValueError: there is no such choice.
        ImportError: NumPy is not installed.
    """
    choices = get_args(NumberLists)
    if number_lists not in choices:
        known = ", ".join(repr(each) for each in choices)
        raise ValueError(f"number_lists={number_lists!r} is none of {known}")
    if number_lists == "numpy":
        try:
            import numpy as np  # noqa: F401
        except ImportError as error:
            raise ImportError(
                'number_lists="numpy" needs NumPy, which cannot be imported: install it, '
                'or pass number_lists="array"'
            ) from error


def copied(number_lists: NumberLists, element: str) -> Callable[[memoryview], Any]:
    """A function that makes a value of flat bytes by one copy; not for ``"list"``."""
    code: Any = NUMBER_FORMAT[element]
    if number_lists == "numpy":
        import numpy as np

        dtype = np.dtype(_dtype(element))
        return lambda data: np.array(data.cast(code), dtype)
    from array import array

    def flat(data: memoryview) -> array[Any]:
        made: array[Any] = array(code)
        made.frombytes(data)
        return made

    return flat


def copying_template(source: Source, number_lists: NumberLists, element: str) -> str:
    """Generated code that makes a value of the flat bytes in its braces."""
    if element == "u8" and number_lists != "numpy":
        return "bytes({})"
    if number_lists == "list":
        return f"{{}}.cast({NUMBER_FORMAT[element]!r}).tolist()"
    key = "copied", element
    return f"{source.constant('copied', copied(number_lists, element), key)}({{}})"


def _dtype(element: str) -> str:
    """NumPy's name: ``int32`` of ``s32``."""
    kind = {"u": "uint", "s": "int", "f": "float"}[element[0]]
    return kind + element[1:]
