"""As :mod:`hlwasm.bindgen.runtime`, for packages that know asyncio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, Union, cast, overload

import hlwasm
from hlwasm.bindgen.runtime import Component
from hlwasm.sandbox.async_sandbox import AsyncSandbox as PlainAsyncSandbox
from hlwasm.sandbox.async_sandbox import Instantiation as PlainInstantiation

if TYPE_CHECKING:
    from abc import ABC, abstractmethod
    from collections.abc import Generator

    from typing_extensions import Self

    from hlwasm.sandbox.pool import AsyncPool

__all__ = [
    "Answer",
    "AsyncComponent",
    "AsyncGuestResource",
    "AsyncHasExports",
    "AsyncSandbox",
    "twin",
]

I = TypeVar("I")  # noqa: E741
E = TypeVar("E")
AI = TypeVar("AI")
AE = TypeVar("AE")
T = TypeVar("T")

# What a host function may return: a coroutine function does the former.
Answer: TypeAlias = Union[Awaitable[T], T]  # noqa: UP007
# What has asynchronous exports.
AsyncHasExports: TypeAlias = "PlainAsyncSandbox | AsyncPool"


if TYPE_CHECKING:

    class AsyncGuestResource(ABC):
        """A resource that lives in the component of an asynchronous sandbox."""

        @abstractmethod
        async def drop(self) -> None:
            """Gives the resource back; its destructor runs in the guest. Idempotent."""

        @abstractmethod
        async def __aenter__(self) -> Self: ...

        @abstractmethod
        async def __aexit__(self, *_: object) -> None: ...

else:

    class AsyncGuestResource:
        """What type checkers know of a resource of an asynchronous sandbox."""

        __slots__ = ()


def twin(declared: type) -> Callable[[type[T]], type[T]]:
    """Makes one class of a resource's two: sandboxes of both kinds derive theirs from it.

    Type checkers see two, one with functions to await.
    """
    return lambda _: cast(Any, declared)


class AsyncSandbox(PlainAsyncSandbox, Generic[E]):
    """A sandbox whose exports have the type that its package gives them."""

    if TYPE_CHECKING:
        exports: E  # type: ignore[assignment]

        async def __aenter__(self) -> Self: ...


class Instantiation(PlainInstantiation, Generic[E]):
    """A sandbox that is being made."""

    if TYPE_CHECKING:

        def __await__(self) -> Generator[Any, Any, AsyncSandbox[E]]: ...

        async def __aenter__(self) -> AsyncSandbox[E]: ...


class AsyncComponent(Component[I, E], Generic[I, E, AI, AE]):
    """A component of the world that a package was generated for."""

    @overload  # type: ignore[override]
    def instantiate_async(
        self: AsyncComponent[I, E, None, AE],
        imports: None = None,
        *,
        wasi: hlwasm.Wasi | None = None,
        limits: hlwasm.Limits | None = None,
    ) -> Instantiation[AE]: ...

    @overload
    def instantiate_async(
        self,
        imports: AI,
        *,
        wasi: hlwasm.Wasi | None = None,
        limits: hlwasm.Limits | None = None,
    ) -> Instantiation[AE]: ...

    def instantiate_async(
        self,
        imports: Any = None,
        *,
        wasi: hlwasm.Wasi | None = None,
        limits: hlwasm.Limits | None = None,
    ) -> Instantiation[AE]:
        """See :meth:`hlwasm.Component.instantiate_async`."""
        given = self.world.imports_of(self.description, imports)
        made = super().instantiate_async(given, wasi=wasi, limits=limits)
        return cast("Instantiation[AE]", made)
