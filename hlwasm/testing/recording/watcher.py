"""Who watches the calls of a sandbox, in both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakValueDictionary

from hlwasm.errors import ConversionError, Err, RecordingError, ReplayMismatch, SandboxPoisoned
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
        host_error: what a host function ended the running guest call with, if it did.
    """

    host_error: BaseException | None = None

    def __init__(self, description: Description, numbers: ObjectNumbers) -> None:
        self.numbers = numbers
        self.values = Values(description, numbers)
        self._signatures: dict[tuple[str, int], Signature] = {}
        # The call that is being made, until it enters the sandbox.
        self._coming: _GuestCall | None = None

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

    def interrupted(self, signature: Signature | None, raised: Raised) -> None:
        """It was ended by what is no Exception: cancelled, or by Ctrl-C."""
        self.done(signature, raised)

    def serve(self, signature: Signature, resolve: Resolver) -> Implementation:
        """What implements an import."""
        raise NotImplementedError

    def drops(self, resource: str, destroy: Callable[[], Any]) -> Any:
        """The component drops a resource of the host's, ``page-1``, which ``destroy`` does.

        Returns:
            What ``destroy`` returned, something to await perhaps.
        """
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
            coming = self._announce(signature, arguments, named)
            if coming is None:
                return call(*arguments, **named)
            with coming:
                coming.value = call(*coming.arguments)
            return coming.value

        return _without_views(watched)

    def async_guest(self, function: Function, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same of an asynchronous sandbox."""
        signature = self.signature(function, "export")

        @wraps(call)
        async def watched(*arguments: Any, **named: Any) -> Any:
            coming = self._announce(signature, arguments, named)
            if coming is None:
                return await call(*arguments, **named)
            with coming:
                coming.value = await call(*coming.arguments)
            return coming.value

        return _without_views(watched)

    def _announce(
        self, signature: Signature, arguments: tuple[Any, ...], named: Mapping[str, Any]
    ) -> _GuestCall | None:
        """A guest call is about to be made; None where its arguments will be refused."""
        try:
            bound = signature.bind(arguments, named)
            data = signature.encode(bound)
        except ConversionError:
            return None
        return _GuestCall(self, signature, bound, data)

    def announced(self) -> Callable[[], None]:
        """Somebody is about to enter the sandbox, and calls what this returns when he has.

        What is let in is a call. Of those that are refused, because another one runs or the sandbox
        is closed, nobody will know.
        """
        coming, self._coming = self._coming, None
        return _nothing if coming is None else coming.enter

    def label(self, type_index: int, number: int) -> str:
        """A resource as values show it: ``page-1``."""
        return f"{resource_name(self.values.description.types[type_index])}-{number}"

    def drop(self, type_index: int, number: int) -> _WatchedCall:
        """A ``with`` statement that drops a resource of the component's, by its number in the
        sandbox's table.
        """
        self.dropping(self.label(type_index, self.numbers.of_guest(number)))
        return _WatchedCall(self, None)

    def destructor(
        self, type_index: int, find: Callable[[int, int], Any], destroy: Callable[[int], Any]
    ) -> Callable[[int], Any]:
        """``destroy``, which drops resources of the host's, watched; it may be asynchronous.

        Args:
            type_index: of the resources.
            find: finds one, given the type index and what ``destroy`` takes.
            destroy: as a call loop calls it.
        """

        def watched(rep: int) -> Any:
            label = self.label(type_index, self.numbers.number(find(type_index, rep)))
            return self.drops(label, partial(destroy, rep))

        return watched


class _WatchedCall:
    """Tells a watcher how a guest call ends.

    Attributes:
        value: what it returned.
    """

    value: Any = None

    def __init__(self, watcher: Watcher, signature: Signature | None) -> None:
        self._watcher = watcher
        self._signature = signature

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        watcher, signature = self._watcher, self._signature
        from_host = error is not None and error is watcher.host_error
        watcher.host_error = None
        if isinstance(error, (ReplayMismatch, RecordingError)):
            return  # how the call would have ended is not known
        if error is not None and not isinstance(error, Exception):
            watcher.interrupted(signature, Raised.of(error))
            return
        outcome: Outcome = None
        if signature is not None and _is_result(error, signature) and not from_host:
            outcome = signature.encode_result(error)
        elif error is not None:
            outcome = Raised.of(error)
        elif signature is not None:
            outcome = signature.encode_result(self.value)
        watcher.done(signature, outcome)


class _GuestCall(_WatchedCall):
    """A guest call, which begins when it enters the sandbox: resources that are garbage are dropped
    before.

    Attributes:
        arguments: by position.
    """

    def __init__(
        self,
        watcher: Watcher,
        signature: Signature,
        arguments: tuple[Any, ...],
        data: tuple[bytes, ...],
    ) -> None:
        super().__init__(watcher, signature)
        self.arguments = arguments
        self._entering = partial(watcher.called, signature, data)
        self._entered = False

    def enter(self) -> None:
        """It is in the sandbox."""
        self._entered = True
        self._entering()

    def __enter__(self) -> None:
        # Who calls enters the sandbox before any other task runs.
        self._watcher._coming = self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watcher._coming is self:
            self._watcher._coming = None
        if not self._entered:
            if not isinstance(error, SandboxPoisoned):
                return
            # Which comes of what is in the recording, and ends every call behind it.
            self.enter()
        super().__exit__(kind, error, traceback)


def _is_result(error: BaseException | None, signature: Signature) -> bool:
    return isinstance(error, Err) and signature.plain.fallible


def _nothing() -> None:
    """For who enters the sandbox without a call."""


def _without_views(watched: Callable[..., Any]) -> Callable[..., Any]:
    # For hlwasm.view, which would call the function past the watcher.
    vars(watched).pop("__hlwasm_export__", None)
    return watched
