"""Values that several types share, and the bases of the generated types."""

from __future__ import annotations

import enum
from typing import Any, ClassVar, Generic, TypeVar

from hlwasm.errors import Err

__all__ = ["Err", "Ok", "Some", "WitEnum", "WitFlags", "WitRecord", "WitVariant"]

T = TypeVar("T")

# Pseudo-members of a flags class are cached up to here; a guest that sends ever new
# combinations must not fill the host's memory with them.
_CACHED_COMBINATIONS = 1024


class _Wrapped(Generic[T]):
    """One value, compared and shown like a dataclass of that field."""

    __slots__ = ("value",)
    __match_args__ = ("value",)
    # Like a dataclass's, as the value can be set anew.
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: T) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        # As tuples compare: an object equals itself, NaN too.
        return bool((self.value,) == (other.value,))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(value={self.value!r})"


class Ok(_Wrapped[T]):
    """The success arm of a ``result`` inside another value; None where it has no payload."""

    __slots__ = ()

    def __init__(self, value: T = None) -> None:  # type: ignore[assignment]
        self.value = value


class Some(_Wrapped[T]):
    """The present case of an option whose payload is itself an option."""

    __slots__ = ()


class WitRecord:
    """Base of generated records: dataclasses with slots, one field per WIT field."""

    __slots__ = ()
    #: ``interface#name`` in WIT.
    __wit_name__: ClassVar[str]


class WitVariant:
    """Base of generated variants.

    A variant is a class that holds one subclass per case, so ``isinstance(x, Shape)``
    holds for all of them and ``case Shape.Circle(radius)`` matches one.
    """

    __slots__ = ()
    __wit_name__: ClassVar[str]
    #: The WIT name of the case; set on the subclasses.
    wit_case: ClassVar[str]


class WitEnum(enum.Enum):
    """Base of generated enums: a member's value is its WIT name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"


class WitFlags(enum.Flag):
    """Base of generated flags: bit i is the i-th flag.

    Combinations are compared by value, not by identity.
    """

    def __eq__(self, other: object) -> bool:
        if type(other) is type(self):
            return bool(self._value_ == other._value_)
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._value_)

    def __repr__(self) -> str:
        cls = type(self)
        names = [f"{cls.__name__}.{each.name}" for each in cls if each._value_ & self._value_]
        return "|".join(names) or f"{cls.__name__}(0)"

    @classmethod
    def from_bits(cls, bits: int) -> Any:
        """The combination with these bits; bits beyond the last flag are dropped."""
        found = cls._value2member_map_.get(bits)
        if found is not None:
            return found
        known = (1 << len(cls._member_names_)) - 1
        if bits & ~known:
            return cls.from_bits(bits & known)
        if len(cls._value2member_map_) < _CACHED_COMBINATIONS:
            return cls(bits)
        combination = object.__new__(cls)
        combination._value_ = bits
        combination._name_ = None
        return combination
