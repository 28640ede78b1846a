"""Immutable classes of named fields, cheap to define; objects that are not copied.

A frozen dataclass writes the source of its methods and compiles it: a quarter of a
millisecond for each class, behind the import of ``dataclasses`` with all of ``inspect``.
``NamedTuple`` compiles its annotations. More than thirty classes lie on the way from a cold
process to its first call, where that would take as long as all the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from typing import NoReturn, TypeVar

    from typing_extensions import dataclass_transform

    S = TypeVar("S", bound="Shared")
else:

    def dataclass_transform(**_: object) -> Any:
        """Tells type checkers what Frozen is; nothing to do at run time."""
        return lambda cls: cls


_LATE: Any = object()


class _Signature:
    """The constructor's signature, for help() and editors; made when it is asked for."""

    def __get__(self, _: object, cls: type[Frozen]) -> Any:
        if "__init__" in vars(cls):
            return None  # it speaks for itself
        from inspect import Parameter, Signature

        return Signature(
            [
                Parameter(
                    name,
                    Parameter.POSITIONAL_OR_KEYWORD,
                    default=cls._defaults.get(name, Parameter.empty),
                    annotation=_annotation(cls, name),
                )
                for name in cls._fields
            ]
        )


def _annotation(cls: type, name: str) -> Any:
    owner = next(each for each in cls.__mro__ if name in each.__annotations__)
    return owner.__annotations__[name]


def late(*, init: Literal[False] = False) -> Any:
    """Default of a field that is set later, and is no part of the value.

    It is not passed to the constructor, nor compared or shown.
    """
    return _LATE


@dataclass_transform(frozen_default=True, field_specifiers=(late,))
class Frozen:
    """Base of immutable classes: annotations are fields, as in a frozen dataclass.

    Objects are equal if class and fields are; the hash follows. Subclasses add fields.
    ``__post_init__`` may check them; ``copy.replace`` (Python 3.13) and ``match`` work.
    """

    _fields: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}

    # Type checkers make these from the annotations.
    if not TYPE_CHECKING:
        __signature__ = _Signature()

        def __init_subclass__(cls) -> None:
            given = vars(cls)
            late = [name for name in cls.__annotations__ if given.get(name) is _LATE]
            for name in late:
                delattr(cls, name)
            names = [name for name in cls.__annotations__ if name not in late]
            defaults = {name: given[name] for name in names if name in given}
            cls._fields = cls.__match_args__ = (*cls._fields, *names)
            cls._defaults = {**cls._defaults, **defaults}

        def __init__(self, *values: Any, **named: Any) -> None:
            fields = self._fields
            if named or len(values) != len(fields):
                values = _complete(type(self), values, named)
            self.__dict__.update(zip(fields, values, strict=True))
            self.__post_init__()

    def __post_init__(self) -> None:
        """Checks the fields; raises if they do not fit together."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot delete {name!r}")

    def _values(self) -> tuple[Any, ...]:
        return tuple([self.__dict__[name] for name in self._fields])

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash(self._values())

    def __repr__(self) -> str:
        shown = ", ".join([f"{name}={self.__dict__[name]!r}" for name in self._fields])
        return f"{type(self).__qualname__}({shown})"

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, in order."""
        return {name: self.__dict__[name] for name in self._fields}

    def __replace__(self, /, **changes: Any) -> Any:
        return type(self)(**{**self.as_dict(), **changes})


def _complete(cls: type[Frozen], values: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """The values of all fields, in order.

    Raises:
        TypeError: some are missing, unknown or given twice.
    """
    fields = cls._fields
    if len(values) > len(fields):
        raise TypeError(f"{cls.__name__} takes {len(fields)} arguments, got {len(values)}")
    given = dict(zip(fields, values, strict=False))
    for name, value in named.items():
        if name not in fields:
            raise TypeError(f"{cls.__name__} has no field {name!r}")
        if name in given:
            raise TypeError(f"{cls.__name__}: {name} is given twice")
        given[name] = value
    complete = {**cls._defaults, **given}
    missing = [name for name in fields if name not in complete]
    if missing:
        raise TypeError(f"{cls.__name__}: missing {', '.join(missing)}")
    return tuple([complete[name] for name in fields])


class Uncopied:
    """Base of what owns something outside Python: a copy would free it a second time.

    Attributes:
        _refused: what cannot be done with it.
        _instead: what to do in place of that.
    """

    __slots__ = ()
    _refused: ClassVar[str] = "can be neither copied nor pickled"
    _instead: ClassVar[str] = "it owns something outside Python"

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError(f"{self!r} {self._refused}: {self._instead}")


class Shared(Uncopied):
    """Base of what never changes: its copy is itself."""

    __slots__ = ()
    _refused = "cannot be pickled"

    def __copy__(self: S) -> S:
        return self

    def __deepcopy__(self: S, _: Any) -> S:
        return self
