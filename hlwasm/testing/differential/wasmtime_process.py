"""wasmtime-py as the other side, in a process of its own, which a hostile guest may end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hlwasm.errors import ConversionError, HlwasmError
from hlwasm.sandbox.limits import Limits
from hlwasm.testing.differential.canonical import CanonicalValues
from hlwasm.testing.differential.target import End, MadeCall, Seen, call_key
from hlwasm.testing.differential.wire import from_json, to_json
from hlwasm.testing.fuzzing.runner import limits_of
from hlwasm.testing.fuzzing.typed_fakes import HostCall
from hlwasm.testing.scripts.data import from_data
from hlwasm.testing.scripts.steps import Script, Step
from hlwasm.wit.model import Description, Function

if TYPE_CHECKING:
    from hlwasm.component import Component

# For importing wasmtime and compiling a component of some size.
_START_SECONDS = 300.0
_LIMITS = limits_of(1.0)
# A guest that has broken out may write for as long as it is listened to.
_LONGEST_MESSAGE = 1 << 28
# What reading a value raises that is none.
_NO_VALUE = (
    ConversionError, LookupError, TypeError, ValueError, AttributeError, StopIteration,
    RecursionError,
)  # fmt: skip


class CannotCompare(HlwasmError):
    """The other side cannot run the component."""


class WasmtimeProcess:
    """Runs scripts by wasmtime-py.

    Args:
        component: the component under test.
        wasm: its bytes; an artifact has them no more.
        limits: of each call; of them the memory and the time count.

    Raises:
        CannotCompare: wasmtime-py cannot run it.
    """

    name = "wasmtime"
    same_chance = False

    def __init__(self, component: Component, wasm: bytes, limits: Limits = _LIMITS) -> None:
        self._description = description = component.description
        self._seconds = 5 * (limits.cpu_time or limits.deadline or 1.0) + 1
        self._setup = json.dumps(
            {
                "wasm": wasm.hex(),
                "description": component.artifact.description,
                "memory": limits.memory,
            }
        )
        self.cannot: Mapping[Function, str] = {}
        _check(description, wasm)
        self._values = CanonicalValues(description)
        self._pipe: _Pipe | None = None
        self._start()

    def _start(self) -> _Pipe:
        if self._pipe is None:
            pipe = self._pipe = _Pipe()
            pipe.send(self._setup)
            ready = pipe.receive(_START_SECONDS)
            if ready is None or "ready" not in ready:
                reason = "it ended" if ready is None else ready.get("error", "no answer")
                self.close()
                raise CannotCompare(f"wasmtime-py cannot run the component: {reason}")
        return self._pipe

    def run(self, script: Script, answers: Sequence[HostCall]) -> Sequence[Seen]:
        """See :class:`~hlwasm.testing.differential.target.Target`."""
        pipe = self._start()
        request = {
            "steps": [self._step(step) for step in script.steps],
            "answers": [
                [call.function.index, to_json(call.answer)]
                for call in answers
                if call.function.result is not None and call.function.kind != "constructor"
            ],
        }
        pipe.send(json.dumps(request))
        seen: list[Seen] = []
        while True:
            try:
                message = pipe.receive(self._seconds)
            except TimeoutError:
                self.close()
                return [*seen, Seen(End.TIME_OUT)]
            if message is None:
                self.close()
                return [*seen, Seen(End.UNKNOWN, message="the process of wasmtime ended")]
            if "done" in message:
                error = message.get("error")
                return [*seen, Seen(End.UNKNOWN, message=str(error))] if error else seen
            if len(seen) == len(script.steps):
                self.close()
                return [*seen, Seen(End.UNKNOWN, message="the process of wasmtime wrote too much")]
            seen.append(self._seen(script.steps[len(seen)], message))

    def _step(self, step: Step) -> dict[str, Any]:
        exports = self._description.exports
        return {
            "function": None if step.function is None else exports.index(step.function),
            "arguments": [to_json(each) for each in step.arguments],
            "needs": sorted(handle.name for handle in step.handles()),
            "gives": [[handle.name, resource] for handle, resource in step.gives],
        }

    def _seen(self, step: Step, message: Any) -> Seen:
        """Reads what the child says of a step, which a hostile guest may have made up."""
        try:
            end = End[str(message["end"]).upper()]
            calls = [self._call(*call) for call in message["calls"]]
            value = from_json(message.get("value"))
            if end is End.RETURNED and step.function is not None:
                # Raises where it is no value of the type.
                python = from_data(self._description, step.function.result, value)
                self._values.canonical(step.function, python)
        except _NO_VALUE as error:
            return Seen(End.UNKNOWN, message=f"the process of wasmtime wrote no value: {error}")
        return Seen(end, value, str(message.get("message", "")), calls)

    def _call(self, index: int, arguments: Any) -> MadeCall:
        function = self._description.imports_by_index[index]
        return MadeCall(call_key(function), tuple([from_json(each) for each in arguments]))

    def close(self) -> None:
        """Ends the process."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()


class _Pipe:
    """The child process, and messages to and from it: a line of JSON each."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "hlwasm.testing.differential.wasmtime_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What a guest or an abort writes there is nobody's business.
            stderr=subprocess.DEVNULL,
            # So that nothing is left in a buffer while it is waited for.
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input = self._process.stdin
        self._output = self._process.stdout.fileno()
        self._received = bytearray()

    def send(self, line: str) -> None:
        """Sends a line; that there is nobody any more shows when something is received."""
        rest = memoryview(line.encode() + b"\n")
        with contextlib.suppress(BrokenPipeError):
            while rest:
                rest = rest[self._input.write(rest) :]

    def receive(self, seconds: float) -> Any:
        """The next message; None where there will be no more, or what came is none.

        Raises:
            TimeoutError: there is none in time.
        """
        end = time.monotonic() + seconds
        received, searched = self._received, 0
        while (length := received.find(b"\n", searched)) < 0:
            searched = len(received)
            left = end - time.monotonic()
            if left < 0 or not select.select([self._output], [], [], left)[0]:
                raise TimeoutError
            data = os.read(self._output, 1 << 16)
            if not data or searched > _LONGEST_MESSAGE:
                return None
            received += data
        line = received[:length]
        del received[: length + 1]
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return message if isinstance(message, dict) else None

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        with self._process:
            pass


def _check(description: Description, wasm: bytes) -> None:
    if description.source_kind != "component":
        raise CannotCompare("wasmtime-py runs components, and this is a core module")
    if not wasm.startswith(b"\0asm") and wasm[:1] not in (b"(", b";") and b"(component" not in wasm:
        raise CannotCompare("wasmtime-py needs the component itself, and this is an artifact")
