"""The constants of a component's code, some of which it may compare its arguments with.

A test that guesses never meets ``0x12345678`` or ``"open sesame"``; but the code has them.
"""

from __future__ import annotations

import os
from struct import pack, unpack
from typing import TYPE_CHECKING, Any

from hlwasm.codec.checks import INTEGER_RANGE, short
from hlwasm.errors import InvalidWasm
from hlwasm.frozen import Frozen
from hlwasm.regular_file import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hlwasm.component import Component

_FILE_BYTES_MAX = 256 << 20
_TYPES: dict[str, Any] = {
    "compared": int,
    "integers": int,
    "floats": (float, int),
    "texts": str,
}
# Sizes of what is loaded and compared at once.
_WORD_BYTES = (2, 4, 8)


class Constants(Frozen):
    """What was found in the code of a component. All of it is a guess.

    Attributes:
        compared: integers that something is compared with, as signed ones of their width.
        integers: others.
        floats: finite numbers.
        texts: those that the code refers to, then those that it compares in pieces, as numbers,
            then others.

    Raises:
        TypeError: a value is of another type, or there is one text in place of several.
    """

    compared: tuple[int, ...] = ()
    integers: tuple[int, ...] = ()
    floats: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, type_ in _TYPES.items():
            values = getattr(self, name)
            if not isinstance(values, (tuple, list)):
                raise TypeError(
                    f"Constants.{name}: expected a tuple of values, not {short(values)}"
                )
            for value in values:
                if not isinstance(value, type_):
                    raise TypeError(f"Constants.{name}: {short(value)} is of another type")

    def of_type(self, name: str) -> list[list[Any]]:
        """Values of a primitive type, in groups of which none is empty, the likeliest first.

        Args:
            name: of the type in WIT; ``bytes`` stands for ``list<u8>``.
        """
        groups: list[Iterable[Any]] = []
        if name in INTEGER_RANGE:
            groups = self._integers(*INTEGER_RANGE[name])
        elif name in ("f32", "f64"):
            groups = [[each for each in self.floats if name == "f64" or _is_single(each)]]
        elif name == "char":
            numbers = (*self.compared, *self.integers)
            groups = [[chr(each) for each in numbers if _is_character(each)]]
        elif name == "string":
            groups = [self.texts]
        elif name == "bytes":
            words = [word for each in self.compared for word in _words(each)]
            groups = [[each.encode() for each in self.texts], words]
        return [values for group in groups if (values := list(dict.fromkeys(group)))]

    def _integers(self, low: int, high: int) -> list[Iterable[int]]:
        compared, others = (
            [_as_unsigned(each, low, high) for each in integers]
            for integers in (self.compared, self.integers)
        )
        # A bound is met from both sides; a range is compared after a subtraction.
        near = [each + step for each in compared for step in (-1, 1)]
        near += [-each for each in (*self.compared, *self.integers)]
        return [
            [each for each in group if low <= each <= high] for group in (compared, others, near)
        ]


def _as_unsigned(value: int, low: int, high: int) -> int:
    """The number that a negative one of code stands for, where it stands for an unsigned one."""
    return value + high + 1 if low == 0 and -high - 1 <= value < 0 else value


def _is_single(value: float) -> bool:
    """Whether 32 bits hold it exactly."""
    try:
        return bool(unpack("<f", pack("<f", value))[0] == value)
    except OverflowError:
        return False


def _is_character(value: int) -> bool:
    return 0x20 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000


def _words(value: int) -> Iterator[bytes]:
    """The bytes in memory of which code may have loaded a number."""
    for size in _WORD_BYTES:
        if -(1 << 8 * size - 1) <= value < 1 << 8 * size:
            yield (value % (1 << 8 * size)).to_bytes(size, "little")
            return


def constants_of(source: Component | str | os.PathLike[str] | bytes) -> Constants:
    """Finds constants in the code of a component, core module or WAT text.

    Args:
        source: the file or its contents. Of a component there is the file that it was loaded
            from: nothing is found where there is none, or another one by now, or an artifact.

    Raises:
        OSError, InvalidWasm: what was given cannot be read.
        TypeError: it is something else.
    """
    from hlwasm.component import Component
    from hlwasm.native.library import find_constants

    given: object = source
    data: bytes | None
    if isinstance(given, (bytes, bytearray, memoryview)):
        data = bytes(given)
    elif isinstance(given, (str, os.PathLike)):
        data = read_regular(given, _FILE_BYTES_MAX)
        if len(data) > _FILE_BYTES_MAX:
            message = f"the file has more than {_FILE_BYTES_MAX} bytes"
            raise InvalidWasm(f"{os.fspath(given)}: {message}")
    elif isinstance(given, Component):
        data = _contents(given)
    else:
        got = type(given).__name__
        raise TypeError(f"expected a hlwasm.Component, its file, or what is in that, not {got}")
    if data is None:
        return Constants()
    found = find_constants(data)
    return Constants(**{kind: tuple(values) for kind, values in found.items()})


def check_constants(constants: object) -> None:
    """Refuses what is neither constants nor None.

    Raises:
        TypeError: see above.
    """
    if constants is not None and not isinstance(constants, Constants):
        raise TypeError(f"constants: expected Constants or None, not {short(constants)}")


def _contents(component: Component) -> bytes | None:
    """What the component was made from, as far as it is there still."""
    from hlwasm.artifact.hashing import new_sha256

    path = component._path
    if path is None:
        return None
    try:
        data = read_regular(path, _FILE_BYTES_MAX)
    except OSError:
        return None
    if len(data) > _FILE_BYTES_MAX:
        return None
    same = new_sha256(data).hexdigest() == component.artifact.metadata.source_sha256
    return data if same else None
