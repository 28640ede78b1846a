"""What generated packages stand on. Their users need none of it by name.

A package declares the classes of a world's types, so that they are real ones: they can be
imported, pickled and matched, and are the same for all components of that world. When a
component is loaded through the package, it is compared with what the package was made for;
then the classes are given to the component's description, and the codecs make and take
objects of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeAlias, TypeVar, Union, overload

import hlwasm
from hlwasm.bindgen.world import World
from hlwasm.component import Component as PlainComponent
from hlwasm.sandbox.sandbox import Sandbox as PlainSandbox
from hlwasm.wit.values import WitEnum as Enum
from hlwasm.wit.values import WitFlags as Flags
from hlwasm.wit.values import WitRecord as Record
from hlwasm.wit.values import WitVariant as Variant

if TYPE_CHECKING:
    import os
    from abc import ABC, abstractmethod

    from typing_extensions import Buffer, Self

    from hlwasm.sandbox.pool import Pool

__all__ = [
    "Component",
    "Enum",
    "Fallible",
    "Flags",
    "Floats",
    "GuestResource",
    "HasExports",
    "Integers",
    "Record",
    "Sandbox",
    "Sequence",
    "Source",
    "Variant",
    "World",
    "case",
    "exports_of",
]

C = TypeVar("C", bound=Variant)
I = TypeVar("I")  # noqa: E741
E = TypeVar("E")
T = TypeVar("T")
X = TypeVar("X")

# What is lowered to a list of numbers.
Integers: TypeAlias = "Sequence[int] | Buffer"
Floats: TypeAlias = "Sequence[float] | Buffer"
# Where a component comes from.
Source: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | PlainComponent"
# What a host function may return, whose WIT type is a result; it may also raise an Err.
Fallible: TypeAlias = Union[T, hlwasm.Ok[T], hlwasm.Err[X]]  # noqa: UP007
# What has synchronous exports.
HasExports: TypeAlias = "PlainSandbox | Pool"


def case(variant: type[Variant], name: str) -> Callable[[type[C]], type[C]]:
    """Puts the class of a case into its variant, where it has its name.

    A class cannot be derived from the one that it is written in.
    """

    def put(cls: type[C]) -> type[C]:
        cls.__name__ = name
        cls.__qualname__ = f"{variant.__qualname__}.{name}"
        setattr(variant, name, cls)
        return cls

    return put


if TYPE_CHECKING:

    class GuestResource(ABC):
        """A resource that lives in the component."""

        @abstractmethod
        def drop(self) -> None:
            """Gives the resource back; its destructor runs in the guest. Idempotent."""

        @abstractmethod
        def __enter__(self) -> Self: ...

        @abstractmethod
        def __exit__(self, *_: object) -> None: ...

else:

    class GuestResource:
        """A resource that lives in the component.

        A sandbox derives its own class from this, and from what makes it work. To type
        checkers it is abstract, as only sandboxes make objects of it.
        """

        __slots__ = ()


class Sandbox(PlainSandbox, Generic[E]):
    """A sandbox whose exports have the type that its package gives them."""

    if TYPE_CHECKING:
        exports: E  # type: ignore[assignment]

        def fork(self, imports: Any = None, *, wasi: hlwasm.Wasi | None = None) -> Sandbox[E]: ...

        def __enter__(self) -> Self: ...


class Component(PlainComponent, Generic[I, E]):
    """A component of the world that a package was generated for.

    Args:
        world: of the package.
        source: as for :func:`hlwasm.load`, or what that returned.

    Raises:
        WorldMismatch: the component does not fit the world.
        LoadError: see :func:`hlwasm.load`.
        ValueError: it was loaded with ``number_lists``.
    """

    sandbox_class: ClassVar[type[PlainSandbox]] = Sandbox

    def __init__(self, world: World, source: Source) -> None:
        plain = source if isinstance(source, PlainComponent) else hlwasm.load(source)
        if plain._number_lists != "list":
            raise ValueError(
                "bindings declare lists of numbers as lists: "
                "load the component without number_lists"
            )
        # Of its own, as the description of the plain one may have classes already.
        super().__init__(
            plain.artifact,
            plain.name,
            reuse=plain._starts is not None,
            documentation=plain._documentation,
            path=plain._path,
        )
        self.world = world
        world.bind(self.description, plain.name)

    @overload  # type: ignore[override]
    def instantiate(
        self: Component[None, E],
        imports: None = None,
        *,
        wasi: hlwasm.Wasi | None = None,
        limits: hlwasm.Limits | None = None,
    ) -> Sandbox[E]: ...

    @overload
    def instantiate(
        self,
        imports: I,
        *,
        wasi: hlwasm.Wasi | None = None,
        limits: hlwasm.Limits | None = None,
    ) -> Sandbox[E]: ...

    def instantiate(
        self,
        imports: Any = None,
        *,
        wasi: hlwasm.Wasi | None = None,
        limits: hlwasm.Limits | None = None,
    ) -> Sandbox[E]:
        """See :meth:`hlwasm.Component.instantiate`; ``imports`` is like the package's Imports."""
        given = self.world.imports_of(self.description, imports)
        return super().instantiate(given, wasi=wasi, limits=limits)  # type: ignore[return-value]


def exports_of(world: World, sandbox: Any) -> Any:
    """The exports of a sandbox or pool, whose component was loaded through a package.

    Raises:
        TypeError: it was not, or through another package; or it is neither.
    """
    component = getattr(sandbox, "component", None)
    if not isinstance(component, PlainComponent):
        raise TypeError(f"expected a sandbox or pool, not {type(sandbox).__name__}")
    if not isinstance(component, Component) or component.world is not world:
        raise TypeError(
            f"{component.name} was not loaded by these bindings of {world.name}: "
            "its values have other classes"
        )
    return sandbox.exports
