"""How the sandboxes of a pool are made."""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

from hlwasm.component import Component
from hlwasm.sandbox.limits import Limits
from hlwasm.sandbox.snapshot import Snapshot

if TYPE_CHECKING:
    from hlwasm.sandbox.async_sandbox import AsyncSandbox
    from hlwasm.sandbox.sandbox import Sandbox
    from hlwasm.wasi import Wasi


class Recipe:
    """Makes sandboxes that are all in the same state.

    The first one is instantiated, and a snapshot taken of it, unless there is one.

    Args:
        source: the component, or the snapshot to start from.
        imports: the object that serves the imports of all sandboxes.
        imports_factory: makes one for each sandbox instead.
        wasi: what the WASI imports may reach.
        limits: of each sandbox; those of the snapshot where there is one.
        warm_up: called with the first sandbox before its state is saved.

    Attributes:
        snapshot: what sandboxes are made from and restored to, None before the first.

    Raises:
        TypeError: the source is neither, imports are given twice, or a snapshot is to be
            warmed up.
        ValueError: the limits are not those of the snapshot.
    """

    def __init__(
        self,
        source: Component | Snapshot,
        imports: Any,
        imports_factory: Callable[[], Any] | None,
        wasi: Wasi | None,
        limits: Limits | None,
        warm_up: Callable[[Any], Any] | None = None,
    ) -> None:
        if not isinstance(source, (Component, Snapshot)):
            raise TypeError(
                f"a pool is made of a Component or a Snapshot, not of a {type(source).__name__}"
            )
        if imports is not None and imports_factory is not None:
            raise TypeError("give either imports or imports_factory, not both")
        if warm_up is not None and isinstance(source, Snapshot):
            raise TypeError("warm_up: a snapshot stays as it is; warm up its sandbox before")
        self.snapshot = source if isinstance(source, Snapshot) else None
        self.component = source.component if isinstance(source, Snapshot) else source
        if self.snapshot is None:
            self.limits = limits or Limits()
        else:
            self.limits = self.snapshot.limits
            if limits is not None and limits != self.limits:
                raise ValueError("limits: a snapshot has its own, and these are others")
        self._given = imports
        self._factory = imports_factory
        self._wasi = wasi
        self._warm_up = warm_up

    def imports(self) -> Any:
        """What serves the imports of the next sandbox."""
        return self._given if self._factory is None else self._factory()

    def make(self) -> Sandbox:
        """Makes a sandbox. Until there is a snapshot, one thread at a time calls this.

        Raises:
            HlwasmError: as :meth:`Component.instantiate`, :meth:`Sandbox.snapshot`.
        """
        if self.snapshot is not None:
            return self.snapshot.instantiate(self.imports(), wasi=self._wasi)
        sandbox = self.component.instantiate(self.imports(), wasi=self._wasi, limits=self.limits)
        try:
            if self._warm_up is not None:
                self._warm_up(sandbox)
            self.snapshot = sandbox.snapshot()
        except BaseException:
            sandbox.close()
            raise
        return sandbox

    async def make_async(self) -> AsyncSandbox:
        """As :meth:`make`, for asyncio; one task at a time until there is a snapshot."""
        if self.snapshot is not None:
            return await self.snapshot.instantiate_async(self.imports(), wasi=self._wasi)
        sandbox = await self.component.instantiate_async(
            self.imports(), wasi=self._wasi, limits=self.limits
        )
        try:
            if self._warm_up is not None:
                warming = self._warm_up(sandbox)
                if isawaitable(warming):
                    await warming
            self.snapshot = await sandbox.snapshot()
        except BaseException:
            await sandbox.aclose()
            raise
        return sandbox


def check_size(name: str, value: int, least: int) -> None:
    """Raises ValueError unless ``value`` is an integer of at least ``least``."""
    if type(value) is not int or value < least:
        raise ValueError(f"{name}: {value!r} is not a number from {least} on")


def check_timeout(timeout: float | None) -> None:
    """Raises ValueError unless it is None or a number of seconds."""
    if timeout is not None and (type(timeout) not in (int, float) or not timeout >= 0):
        raise ValueError(f"timeout: {timeout!r} is neither None nor a number of seconds")
