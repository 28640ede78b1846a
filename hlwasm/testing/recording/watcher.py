"""Who watches the calls of a sandbox, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakValueDictionary

from hlwasm.errors import ConversionError, Err, RecordingError, ReplayMismatch
from hlwasm.sandbox.guest_resources import HeldResource
from hlwasm.testing.recording.outcomes import Raised
from hlwasm.testing.signature import Signature
from hlwasm.testing.values import Numbers, Values, resource_name
from hlwasm.wit.model import Description, Function

if TYPE_CHECKING:
    from hlwasm.sandbox.imports import Implementation, Resolver

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
    """Sees each call with its values as bytes; base of recorder and player.

    Attributes:
        running: a guest call runs. A second one meanwhile is refused by the sandbox, and is none.
    """

    def __init__(self, description: Description, numbers: ObjectNumbers) -> None:
        self.numbers = numbers
        self.values = Values(description, numbers)
        self.running = False
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
            bound = self._begin(signature, arguments, named)
            if bound is None:
                return call(*arguments, **named)
            with _Watch(self, signature) as watch:
                watch.value = call(*bound)
            return watch.value

        return _without_views(watched)

    def async_guest(self, function: Function, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same of an asynchronous sandbox."""
        signature = self.signature(function, "export")

        @wraps(call)
        async def watched(*arguments: Any, **named: Any) -> Any:
            bound = self._begin(signature, arguments, named)
            if bound is None:
                return await call(*arguments, **named)
            with _Watch(self, signature) as watch:
                watch.value = await call(*bound)
            return watch.value

        return _without_views(watched)

    def _begin(
        self, signature: Signature, arguments: tuple[Any, ...], named: Mapping[str, Any]
    ) -> tuple[Any, ...] | None:
        """A guest call begins; None where it will be refused before the component sees it."""
        if self.running:
            return None
        try:
            bound = signature.bind(arguments, named)
            data = signature.encode(bound)
        except ConversionError:
            return None
        self.called(signature, data)
        return bound

    def label(self, type_index: int, number: int) -> str:
        """A resource as values show it: ``page-1``."""
        return f"{resource_name(self.values.description.types[type_index])}-{number}"

    def drop(self, type_index: int, number: int) -> _Watch:
        """A ``with`` statement that drops a resource of the component's, by its number in the
        sandbox's table.
        """
        self.dropping(self.label(type_index, self.numbers.of_guest(number)))
        return _Watch(self, None)


class _Watch:
    """Tells a watcher how a guest call ends.

    Attributes:
        value: what it returned.
    """

    value: Any = None

    def __init__(self, watcher: Watcher, signature: Signature | None) -> None:
        self._watcher = watcher
        self._signature = signature
        self._outer = watcher.running

    def __enter__(self) -> _Watch:
        self._watcher.running = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        watcher, signature = self._watcher, self._signature
        watcher.running = self._outer
        if isinstance(error, (ReplayMismatch, RecordingError)):
            return  # how the call would have ended is not known
        outcome: Outcome = None
        if signature is not None and isinstance(error, Err) and signature.plain.fallible:
            outcome = signature.encode_result(error)
        elif error is not None:
            outcome = Raised.of(error)
        elif signature is not None:
            outcome = signature.encode_result(self.value)
        watcher.done(signature, outcome)


def _without_views(watched: Callable[..., Any]) -> Callable[..., Any]:
    # For hlwasm.view, which would call the function past the watcher.
    vars(watched).pop("__hlwasm_export__", None)
    return watched
