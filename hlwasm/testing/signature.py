"""A function of a component, with what checks, compares and shows the values of its calls."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from hlwasm.codec.plain import PlainFunction
from hlwasm.errors import Err, WitTypeError
from hlwasm.testing.values import Values
from hlwasm.wit.model import Function
from hlwasm.wit.values import Ok

# Longer texts of calls are cut in messages.
_LONGEST = 500


class Signature:
    """An imported or exported function of the world that ``values`` are of."""

    def __init__(self, function: Function, values: Values) -> None:
        self.function = function
        self.values = values

    @cached_property
    def plain(self) -> PlainFunction:
        """Its plain codec; made when it is needed, as most functions are never called."""
        return PlainFunction(self.function)

    @property
    def label(self) -> str:
        """How messages name it: ``supplier.price``."""
        return self.plain.label

    def bind(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """Positional arguments out of a mixture; for a method, its object is the first.

        Raises:
            WitTypeError: too few, too many, or unknown names.
        """
        names = self.plain.names
        found = dict(zip(names, arguments, strict=False))
        unknown = [name for name in named if name not in names or name in found]
        found.update(named)
        if unknown or len(arguments) > len(names) or len(found) < len(names):
            raise WitTypeError(
                f"{self.label}: takes ({', '.join(names)}), but got "
                f"{len(arguments)} by position{''.join(f', {name}=…' for name in named)}",
                self.label,
            )
        return tuple([found[name] for name in names])

    def canonical(self, arguments: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Arguments in the form in which a component passes them, and their bytes.

        What is ``unittest.mock.ANY`` stays so in both.

        Raises:
            WitTypeError, WitValueError: one does not fit.
        """
        plain, values, data = self.plain, [], []
        for value, ref, path in zip(arguments, plain.types, plain.paths, strict=True):
            if not _is_any(value):
                encoded = self.values.encode(ref, value, path)
                value, data_of_value = self.values.decode(ref, encoded, path), encoded
            else:
                data_of_value = value
            values.append(value)
            data.append(data_of_value)
        return tuple(values), tuple(data)

    def encode(self, arguments: Sequence[Any]) -> tuple[bytes, ...]:
        """The bytes of arguments that a component passed: equal exactly for the same values."""
        plain = self.plain
        return tuple(
            self.values.encode(ref, value, path)
            for value, ref, path in zip(arguments, plain.types, plain.paths, strict=True)
        )

    def text(self, data: Sequence[Any]) -> str:
        """The call as text: ``supplier.price("hammer", tool)``.

        Args:
            data: the bytes of its arguments, or ANY.
        """
        shown = [
            "ANY" if _is_any(each) else self.values.text(ref, each)
            for each, ref in zip(data, self.plain.types, strict=True)
        ]
        text = f"{self.label}({', '.join(shown)})"
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"

    def encode_result(self, value: Any) -> bytes | None:
        """The bytes of a result; of a ``result``, also of its bare ok payload.

        Returns:
            None where the function has no result.

        Raises:
            WitTypeError, WitValueError: it does not fit.
        """
        plain = self.plain
        result = self.function.result
        if isinstance(value, Err) and not plain.fallible:
            raise WitTypeError(
                f"{plain.result_path}: {plain.label} returns no result<…>, so it has no error arm",
                plain.result_path,
            )
        if result is None:
            plain.check_no_result(value)
            return None
        if plain.fallible and not isinstance(value, (Ok, Err)):
            value = Ok(value)
        return self.values.encode(result, value, plain.result_path)


def _is_any(value: Any) -> bool:
    # Whoever has it has imported its module, with all of asyncio; recordings do without.
    mock = sys.modules.get("unittest.mock")
    return value is getattr(mock, "ANY", _is_any)
