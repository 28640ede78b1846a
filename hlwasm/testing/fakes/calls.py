"""Host calls as objects."""

from __future__ import annotations

from typing import Any

from hlwasm.testing.signature import Signature


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
        return self._signature.text(self._data)

    def __repr__(self) -> str:
        return f"<call {self}>"
