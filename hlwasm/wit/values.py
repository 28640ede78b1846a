"""Values that several types share, and the bases of the generated types."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

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

    def __reduce__(self) -> tuple[Any, ...]:
        # Old protocols of pickle know nothing of slots.
        return type(self), (self.value,)

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


class _Fields:
    """What records and variant cases share: copying, and pickling by the name of the type.

    Subclasses written by users are pickled as Python does it, by their module and name.
    """

    __slots__ = ()
    # Annotations at run time would be among the type hints of each record.
    if TYPE_CHECKING:
        __match_args__: ClassVar[tuple[str, ...]]
        #: The description that the class was made for, and the type's index in it.
        __wit_type__: ClassVar[tuple[Any, int]]
        #: ``interface#name`` in WIT.
        __wit_name__: ClassVar[str]
    else:
        __match_args__ = ()

    def __copy__(self) -> Any:
        return self._copied(lambda value: value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from copy import deepcopy

        return self._copied(lambda value: deepcopy(value, memo))

    def _copied(self, copy: Callable[[Any], Any]) -> Any:
        made = object.__new__(type(self))
        for name in (*self.__match_args__, *getattr(self, "__dict__", ())):
            setattr(made, name, copy(getattr(self, name)))
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        values = tuple([getattr(self, name) for name in self.__match_args__])
        restore = _restorer(type(self))
        if restore is not None:
            return (*restore[:1], (*restore[1:], values))
        state = getattr(self, "__dict__", None), dict(zip(self.__match_args__, values, strict=True))
        return object.__new__, (type(self),), state


def _restorer(cls: Any) -> tuple[Any, ...] | None:
    """How a class that was made at run time is found again; None for any other class."""
    from hlwasm.wit import pickling

    if "__wit_type__" in vars(cls):
        return pickling.restore_record, pickling.key_of(cls)
    if "wit_case" in vars(cls) and "__wit_type__" in vars(cls.__base__):
        return pickling.restore_case, pickling.key_of(cls), cls.wit_case
    return None


class WitRecord(_Fields):
    """Base of generated records: dataclasses with slots, one field per WIT field."""

    __slots__ = ()


class WitVariant(_Fields):
    """Base of generated variants.

    A variant is a class that holds one subclass per case, so ``isinstance(x, Shape)``
    holds for all of them and ``case Shape.Circle(radius)`` matches one.
    """

    __slots__ = ()
    if TYPE_CHECKING:
        #: The WIT name of the case; set on the subclasses.
        wit_case: ClassVar[str]
    else:

        def __init__(self, *_: object, **__: object) -> None:
            """Only of the variant itself: its cases have their own."""
            name = type(self).__name__
            raise TypeError(f"{name} is a variant: make one of its cases, such as {name}.…(…)")


class WitEnum(enum.Enum):
    """Base of generated enums: a member's value is its WIT name."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _: Any) -> Any:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        if "__wit_type__" not in vars(type(self)):
            return super().__reduce_ex__(protocol)
        from hlwasm.wit.pickling import key_of, restore_enum

        return restore_enum, (key_of(type(self)), self.value)


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

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _: Any) -> Any:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        if "__wit_type__" not in vars(type(self)):
            return super().__reduce_ex__(protocol)
        from hlwasm.wit.pickling import key_of, restore_flags

        return restore_flags, (key_of(type(self)), self.value)

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
