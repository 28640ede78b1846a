"""A sandbox whose calls, in both directions, are watched by somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakValueDictionary

from hlwasm.errors import ConversionError, Err, RecordingError, ReplayMismatch
from hlwasm.sandbox.calls import CallLoop
from hlwasm.sandbox.guest_resources import HeldResource
from hlwasm.sandbox.imports import Implementation, Linker, Resolver
from hlwasm.sandbox.sandbox import Sandbox
from hlwasm.testing.recording.outcomes import Raised
from hlwasm.testing.signature import Signature
from hlwasm.testing.values import Numbers, Values, resource_name
from hlwasm.wit.model import Description, Function

if TYPE_CHECKING:
    from hlwasm.component import Component
    from hlwasm.native.handles import NativeSandbox
    from hlwasm.sandbox.exports import Bind
    from hlwasm.sandbox.limits import Limits
    from hlwasm.sandbox.snapshot import Snapshot
    from hlwasm.wasi import Wasi

#: How a call ended: bytes of its result (None where it has none), or an exception.
Outcome: TypeAlias = "bytes | Raised | None"


class ObjectNumbers(Numbers):
    """Numbers of the resources of both sides.

    Does not keep the component's own alive: when Python drops one is part of what happens.
    """

    def __init__(self, make: Callable[[int], Any]) -> None:
        super().__init__(make)
        self._guests: WeakValueDictionary[int, HeldResource] = WeakValueDictionary()

    def key(self, value: Any) -> object:
        return ("guest", value._number) if isinstance(value, HeldResource) else id(value)

    def put(self, number: int, value: Any) -> None:
        if isinstance(value, HeldResource):
            self._number_of[self.key(value)] = number
            self._guests[number] = value
        else:
            super().put(number, value)

    def guest(self, number: int) -> Any:
        """The resource of the component's with a number, None where there is none."""
        return self._guests.get(number)

    def of_guest(self, held: int) -> int:
        """The number of a resource of the component's, by its number in the sandbox's table."""
        return self._number_of.setdefault(("guest", held), len(self._number_of) + 1)

    def find(self, type_index: int, number: int) -> Any:
        found = self._guests.get(number)
        return super().find(type_index, number) if found is None else found


class Watcher:
    """Sees each call with its values as bytes; base of recorder and player."""

    def __init__(self, description: Description, numbers: ObjectNumbers) -> None:
        self.numbers = numbers
        self.values = Values(description, numbers)
        self._signatures: dict[tuple[str, int], Signature] = {}

    # What recorder and player say to it.

    def called(self, signature: Signature, data: tuple[bytes, ...]) -> None:
        """A guest call begins."""
        raise NotImplementedError

    def dropping(self, resource: str) -> None:
        """A guest call begins that drops a resource of the component's: ``thing-1``."""
        raise NotImplementedError

    def done(self, signature: Signature | None, outcome: Outcome) -> None:
        """The guest call that began last has ended; of a drop, without a signature."""
        raise NotImplementedError

    def serve(self, signature: Signature, resolve: Resolver) -> Implementation:
        """What implements an import."""
        raise NotImplementedError

    def dropped(self, resource: str) -> None:
        """The component has dropped a resource of the host's: ``page-1``."""
        raise NotImplementedError

    # What the sandbox says to it.

    def signature(self, function: Function, direction: str) -> Signature:
        """The signature of a function, always the same object."""
        key = direction, function.index
        found = self._signatures.get(key)
        if found is None:
            found = self._signatures[key] = Signature(function, self.values)
        return found

    def guest(self, function: Function, call: Callable[..., Any]) -> Callable[..., Any]:
        """An exported function that is watched."""
        signature = self.signature(function, "export")

        @wraps(call)
        def watched(*arguments: Any, **named: Any) -> Any:
            data = None
            with suppress(ConversionError):
                bound = signature.bind(arguments, named)
                data = signature.encode(bound)
            if data is None:
                # It says what is wrong, and no call is made.
                return call(*arguments, **named)
            self.called(signature, data)
            value = self._watch(signature, partial(call, *bound))
            self.done(signature, signature.encode_result(value))
            return value

        # For hlwasm.view, which would call the function past the watcher.
        vars(watched).pop("__hlwasm_export__", None)
        return watched

    def label(self, type_index: int, number: int) -> str:
        """A resource as values show it: ``page-1``."""
        return f"{resource_name(self.values.description.types[type_index])}-{number}"

    def drop(self, type_index: int, number: int, drop: Callable[[], None]) -> None:
        """Drops a resource of the component's, by its number in the sandbox's table."""
        self.dropping(self.label(type_index, self.numbers.of_guest(number)))
        self._watch(None, drop)
        self.done(None, None)

    def _watch(self, signature: Signature | None, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (ReplayMismatch, RecordingError):
            # How the call would have ended is not known.
            raise
        except BaseException as error:
            if signature is not None and signature.plain.fallible and isinstance(error, Err):
                self.done(signature, signature.encode_result(error))
            else:
                self.done(signature, Raised.of(error))
            raise


class _WatchedLoop(CallLoop):
    watcher: Watcher

    def _drop_now(self, number: int) -> None:
        index = self.prepare_drop(number)
        if index is not None:
            drops = self.description.resource_drops
            type_index = next(each.resource for each in drops if each.index == index)
            self.watcher.drop(type_index, number, partial(self.invoke, index))

    def _bind_destructor(self, number: int) -> Callable[[int], int]:
        destroy = super()._bind_destructor(number)
        type_index = self.description.destructors_by_number[number]

        def watched(rep: int) -> int:
            value = self.resources.lift_borrow(type_index, rep)
            result = destroy(rep)
            watcher = self.watcher
            watcher.dropped(watcher.label(type_index, watcher.numbers.number(value)))
            return result

        return watched


class WatchedSandbox(Sandbox):
    """A sandbox whose calls are watched. It always starts by instantiating the component."""

    loop_class = _WatchedLoop

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

    def _keep_start(self) -> None:
        pass

    def _export(self, bind: Bind, base: type[HeldResource]) -> None:
        def watched(function: Function) -> Callable[..., Any]:
            return self._watcher.guest(function, bind(function))

        self.bind_export = watched
        super()._export(watched, base)

    def restore(self, snapshot: Snapshot) -> None:
        """Not possible: a recording goes from the beginning to the end.

        Raises:
            RecordingError: always.
        """
        raise RecordingError("a sandbox that is recorded or replayed cannot be restored")


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
