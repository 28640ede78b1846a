"""A sandbox whose calls, in both directions, are watched by somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from hlwasm.errors import RecordingError
from hlwasm.sandbox.calls import CallLoop
from hlwasm.sandbox.guest_resources import HeldResource
from hlwasm.sandbox.imports import Linker, Resolver
from hlwasm.sandbox.sandbox import Sandbox, SandboxBase
from hlwasm.testing.recording.watcher import Watcher
from hlwasm.wit.model import Function

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.native.handles import NativeSandbox
    from hlwasm.sandbox.exports import Bind
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.snapshot import Snapshot
    from hlwasm.wasi import Wasi

# The modules of what users know as sandboxes.
_SANDBOXES = ("hlwasm.sandbox.sandbox", "hlwasm.sandbox.async_sandbox")


class _WatchedLoop(CallLoop):
    watcher: Watcher

    def begin(self) -> None:
        enter = self.watcher.announced()
        super().begin()
        try:
            enter()
        except BaseException:
            self.end()
            raise

    def _call_drop(self, index: int, number: int) -> None:
        with self.watcher.drop(self.description.resources_by_drop[index], number):
            self.invoke(index)

    def _bind_destructor(self, number: int) -> Callable[[int], int]:
        destroy = super()._bind_destructor(number)
        type_index = self.description.destructors_by_number[number]
        return self.watcher.destructor(type_index, self.resources.lift_borrow, destroy)


class Watched(SandboxBase):
    """What watched sandboxes have in common. They always start by instantiating the component."""

    loop_class = _WatchedLoop

    def __init_subclass__(cls) -> None:
        # To its user it is a sandbox like any other.
        names = [base.__name__ for base in cls.__mro__ if base.__module__ in _SANDBOXES]
        cls.__name__ = names[0] if names else cls.__name__

    def __init__(
        self,
        component: Component,
        imports: Any,
        wasi: Wasi | None,
        limits: Limits,
        watcher: Watcher,
    ) -> None:
        self._watcher = watcher
        super().__init__(component, imports, wasi, limits)

    def _link(self, linker: Linker) -> Mapping[int, Resolver]:
        return _WatchedLinks(self._watcher, linker.link())

    def _boot(self) -> NativeSandbox:
        # A state that was kept after instantiating has host calls behind it.
        self._start = None
        native = super()._boot()
        assert isinstance(self._loop, _WatchedLoop)
        self._loop.watcher = self._watcher
        return native

    def _export(self, bind: Bind, base: type[HeldResource]) -> None:
        def watched(function: Function) -> Callable[..., Any]:
            return self._watch_export(function, bind(function))

        self.bind_export = watched
        super()._export(watched, base)

    def _watch_export(self, function: Function, call: Callable[..., Any]) -> Callable[..., Any]:
        raise NotImplementedError

    def _cannot_restore(self) -> RecordingError:
        # A recording goes from the beginning to the end.
        return RecordingError("a sandbox that is recorded or replayed cannot be restored")


class WatchedSandbox(Watched, Sandbox):
    """A sandbox whose calls are watched."""

    def _keep_start(self) -> None:
        pass

    def _watch_export(self, function: Function, call: Callable[..., Any]) -> Callable[..., Any]:
        return self._watcher.guest(function, call)

    def restore(self, snapshot: Snapshot) -> None:
        """Not possible.

        Raises:
            RecordingError: always.
        """
        raise self._cannot_restore()


class _WatchedLinks(Mapping[int, Resolver]):
    def __init__(self, watcher: Watcher, links: Mapping[int, Resolver]) -> None:
        self._watcher = watcher
        self._links = links

    def __getitem__(self, index: int) -> Resolver:
        watcher = self._watcher
        function = watcher.values.description.imports_by_index[index]
        resolve = self._links[index]
        return lambda: watcher.serve(watcher.signature(function, "import"), resolve)

    def __iter__(self) -> Iterator[int]:
        return iter(self._links)

    def __len__(self) -> int:
        return len(self._links)
