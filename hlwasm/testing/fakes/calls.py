"""Host calls as objects: what a component asked, and what was answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from unittest.mock import ANY

from hlwasm.codec.plain import PlainFunction
from hlwasm.errors import WitTypeError
from hlwasm.testing.values import Values
from hlwasm.wit.model import Function

# Longer texts of calls are cut in messages.
_LONGEST = 500


class Signature:
    """An imported function with what is needed to check and show its values.

    Attributes:
        label: how messages name it: ``supplier.price``.
    """

    def __init__(self, function: Function, values: Values) -> None:
        self.function = function
        self.values = values
        self.plain = plain = PlainFunction(function)
        self.label = plain.label

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

        What is ANY stays ANY in both.

        Raises:
            WitTypeError, WitValueError: one does not fit.
        """
        plain, values, data = self.plain, [], []
        for value, ref, path in zip(arguments, plain.types, plain.paths, strict=True):
            if value is not ANY:
                encoded = self.values.encode(ref, value, path)
                value, data_of_value = self.values.decode(ref, encoded, path), encoded
            else:
                data_of_value = ANY
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

    def text(self, arguments: Sequence[Any]) -> str:
        """The call as text: ``supplier.price("hammer", tool)``."""
        shown = [
            "ANY" if value is ANY else self.values.text(ref, value)
            for value, ref in zip(arguments, self.plain.types, strict=True)
        ]
        text = f"{self.label}({', '.join(shown)})"
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


class Call:
    """A host call: one that was made, or one to compare with.

    Its text is WAVE, as in ``supplier.price("hammer", tool)``. Calls are equal when function
    and arguments are, bit for bit; ``ANY`` equals every argument.

    Attributes:
        name: how messages name the function, such as ``supplier.price``.
        arguments: as the component passed them.
    """

    def __init__(
        self, signature: Signature, arguments: tuple[Any, ...], data: tuple[Any, ...]
    ) -> None:
        self.name = signature.label
        self.arguments = arguments
        self._signature = signature
        self._data = data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Call):
            return NotImplemented
        return self._signature is other._signature and self._data == other._data

    # Arguments need not be hashable.
    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return self._signature.text(self.arguments)

    def __repr__(self) -> str:
        return f"<call {self}>"
