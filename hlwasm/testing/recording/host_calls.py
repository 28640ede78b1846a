"""Host calls on their way into a recording: each is written when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hlwasm.errors import ConversionError, Err
from hlwasm.sandbox.providers import Suspended
from hlwasm.testing.recording.events import full_name
from hlwasm.testing.recording.outcomes import Raised
from hlwasm.testing.recording.watcher import Outcome
from hlwasm.testing.recording.writing import Written
from hlwasm.testing.signature import Signature


class Log(Protocol):
    """What host calls are written to.

    Attributes:
        host_call: the one that has begun, until it ends.
        host_error: what the last one ended with, where that ends the guest call.
        is_awaitable: whether something is to be awaited; None where nothing ever is.
    """

    host_call: HostCall | None
    host_error: BaseException | None
    is_awaitable: Callable[[Any], bool] | None

    def write(self, line: Mapping[str, Any]) -> None:
        """Writes a line."""


class HostCall:
    """A host call that begins."""

    def __init__(self, log: Log) -> None:
        self._log = log
        log.host_call = self

    def run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What the function returns, perhaps something to await."""
        is_awaitable = self._log.is_awaitable
        try:
            value = function(*arguments)
            if is_awaitable is not None and is_awaitable(value):
                return self._awaited(value)
        except BaseException as error:
            self._failed(error)
            raise
        self.end(self._result(value))
        return value

    async def _awaited(self, awaitable: Any) -> Any:
        try:
            value = await awaitable
        except BaseException as error:
            self._failed(error)
            raise
        self.end(self._result(value))
        return value

    def _failed(self, error: BaseException) -> None:
        if isinstance(error, Suspended):
            return  # it will be called again, or given up
        outcome = self._error(error)
        if isinstance(outcome, Raised) and self._log.host_call is self:
            self._log.host_error = error
        self.end(outcome)

    def end(self, outcome: Outcome) -> None:
        """Has it written, unless it was given up meanwhile."""
        if self._log.host_call is self:
            self._log.host_call = None
            self._log.write(self._line(outcome))

    def _result(self, value: Any) -> Outcome:
        return None

    def _error(self, error: BaseException) -> Outcome:
        return Raised.of(error)

    def _line(self, outcome: Outcome) -> Mapping[str, Any]:
        raise NotImplementedError


class FunctionCall(HostCall):
    """The component calls an import."""

    def __init__(self, log: Log, signature: Signature, arguments: tuple[Any, ...]) -> None:
        # Before the function runs, which may change what it was given.
        self._written = Written(signature.values)
        self._begun = call_line("host", signature, signature.encode(arguments), self._written)
        self._signature = signature
        super().__init__(log)

    def _result(self, value: Any) -> Outcome:
        try:
            return self._signature.encode_result(value)
        except ConversionError as error:
            # The codec says the same of it, and the call ends.
            return Raised.of(error)

    def _error(self, error: BaseException) -> Outcome:
        # Of a function without an error arm, Err is an exception like others.
        if isinstance(error, Err) and self._signature.plain.fallible:
            return self._result(error)
        return Raised.of(error)

    def _line(self, outcome: Outcome) -> Mapping[str, Any]:
        end = outcome_of(self._written, self._signature, outcome)
        return {**self._begun, **end, **exact_of(self._written)}


class Destruction(HostCall):
    """The component drops a resource."""

    def __init__(self, log: Log, resource: str) -> None:
        self._resource = resource
        super().__init__(log)

    def _line(self, outcome: Outcome) -> Mapping[str, Any]:
        raises = {"raises": outcome.json()} if isinstance(outcome, Raised) else {}
        return {"dropped": self._resource, **raises}


def call_line(
    kind: str, signature: Signature, data: tuple[bytes, ...], written: Written
) -> dict[str, Any]:
    """The line of a call, up to how it ends."""
    refs = enumerate(zip(signature.plain.types, data, strict=True))
    arguments = [written.text(str(index), ref, each) for index, (ref, each) in refs]
    return {kind: full_name(signature.function), "args": arguments, **exact_of(written)}


def outcome_of(written: Written, signature: Signature | None, outcome: Outcome) -> dict[str, Any]:
    """How a call ended, for its line."""
    if isinstance(outcome, Raised):
        return {"raises": outcome.json()}
    if outcome is None or signature is None or signature.function.result is None:
        return {"returns": "()"}
    return {"returns": written.text("returns", signature.function.result, outcome)}


def exact_of(written: Written) -> dict[str, Any]:
    """Exact bytes, where there are any."""
    return {"exact": written.exact} if written.exact else {}
