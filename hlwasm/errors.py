"""The exception tree.

::

    HlwasmError
    ├── LoadError                 the input cannot become a sandbox
    │   ├── InvalidWasm           not WebAssembly, truncated, malformed, wrong version
    │   ├── InvalidWit            WIT: not well formed, or its names do not resolve
    │   ├── UnsupportedItem       a WIT item or wasm feature that hlwasm does not run
    │   ├── CompileError          the compiler refused, crashed or hit its limits
    │   ├── ArtifactError         a compiled artifact is damaged or of another version
    │   └── WorldMismatch         it has another world than the bindings were generated for
    ├── ComponentNotLoaded        a value to be unpickled has a type of a component not loaded here
    ├── LinkError                 imports missing or mistyped, all named at once
    ├── ConversionError           a Python value does not fit its WIT type
    │   ├── WitTypeError          … wrong Python type (also a TypeError)
    │   └── WitValueError         … right type, value out of range (also a ValueError)
    ├── Err                       the component returned the error arm of its result
    ├── GuestError                the guest did not run to its end; the sandbox is poisoned
    │   ├── Trap                  WebAssembly's own abnormal end
    │   ├── GuestFault            a CPU exception or panic of the guest runtime
    │   ├── GuestDataError        the guest passed data that is not valid
    │   ├── ProgramExit           a WASI program asked to exit
    │   └── UnsupportedImport     the guest called an import that is linked but not provided
    ├── LimitExceeded             a limit was reached; says which and its value
    │   ├── DeadlineExceeded      … ``deadline``: wall-clock time of a call
    │   ├── CpuTimeExceeded       … ``cpu_time``: CPU time of a call
    │   ├── FuelExhausted         … ``fuel``: counted work of a call
    │   ├── MemoryLimitExceeded   … ``memory``, ``memories``, ``total_memory``, ``gc_heap``
    │   │                           or ``runtime_memory``
    │   ├── TableLimitExceeded    … ``table_elements``
    │   ├── HostCallLimitExceeded … ``host_calls``: how many in a call
    │   ├── HostCallBytesExceeded … ``host_call_bytes``: what they carried in a call
    │   ├── OutputLimitExceeded   … ``output`` or ``captured_output`` of a call
    │   └── TransferLimitExceeded … ``transfer_memory``: the values of one guest or host call
    ├── Cancelled                 the call was cancelled from outside
    ├── SandboxStateError         the sandbox cannot do this now
    │   ├── SandboxBusy           … it is running in another thread
    │   ├── ReentrantCall         … it is running, and this call comes from inside it
    │   ├── SandboxPoisoned       … an earlier call did not run to its end
    │   ├── SandboxClosed         … it was closed
    │   └── ViewInUse             … something made of a view of a result is still alive (also a
    │                               BufferError)
    ├── PoolError                 the pool cannot do this
    │   ├── PoolTimeout           … nothing became free in time (also a TimeoutError)
    │   └── PoolClosed            … it was closed, or is another process's (also a RuntimeError)
    ├── SnapshotError             the state cannot be captured, or a snapshot cannot be used here
    ├── CheckFailed               hlwasm.testing found a difference (also an AssertionError)
    │   ├── UnexpectedCall        … the component made a host call that was not expected
    │   ├── MissingCall           … a host call that was expected was not made
    │   └── ReplayMismatch        … a replay went another way than its recording
    ├── RecordingError            a recording cannot be read or written
    ├── NoHypervisorFound         /dev/kvm is missing, not permitted or not working
    └── NativeError               an unexpected failure of the VMM or of the kernel

An exception that a host function raises is none of these: it comes back to the
caller as it is, with its traceback.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from hlwasm.frozen import Frozen

if TYPE_CHECKING:
    from typing import Any

    from typing_extensions import TypeVar as TypeVarWithDefault

    # An ``except`` clause cannot say it.
    E = TypeVarWithDefault("E", default=Any)
else:
    E = TypeVar("E")


class HlwasmError(Exception):
    """Base of every exception that hlwasm raises on its own account."""


class LoadError(HlwasmError):
    """The input cannot become a sandbox."""


class InvalidWasm(LoadError):
    """The input is not WebAssembly, is truncated or malformed, or has a wrong version."""


class InvalidWit(LoadError):
    """WIT is not well formed, uses what does not exist, or lacks the wanted world.

    Its text says where, shows the line and marks the place in it.

    Attributes:
        path: of the file, or of the folder where no single file is to blame.
        line, column: where, both from 1 and in characters; None where there is no one place.
        problem: what is wrong, in one line.
    """

    def __init__(
        self,
        problem: str,
        path: str = "",
        line: int | None = None,
        column: int | None = None,
        excerpt: str = "",
    ) -> None:
        where = ":".join(str(each) for each in (path, line, column) if each)
        text = f"{where}: {problem}" if where else problem
        super().__init__(f"{text}\n{excerpt}" if excerpt else text)
        self.path = path
        self.line = line
        self.column = column
        self.problem = problem


class UnsupportedItem(LoadError):
    """The component uses a WIT item or a wasm feature that hlwasm does not run.

    Attributes:
        item: WIT name of the item, such as ``"demo:a/b@1.0.0#stream-it"``.
    """

    def __init__(self, message: str, item: str = "") -> None:
        super().__init__(message)
        self.item = item


class CompileError(LoadError):
    """The compiler refused the component, crashed, or reached its time or memory limit."""


class ArtifactError(LoadError):
    """A compiled artifact is damaged, or was made by another version."""


class WorldMismatch(LoadError):
    """A component has another world than the bindings that load it were generated for.

    Attributes:
        problems: one line per difference, each starting with a WIT name.
    """

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ComponentNotLoaded(HlwasmError, LookupError):
    """A value that is unpickled has a type of a component that is not loaded in this process.

    Attributes:
        type_name: ``interface#type`` in WIT.
        sha256: of the component's contents, in hex.
    """

    def __init__(self, message: str, type_name: str = "", sha256: str = "") -> None:
        super().__init__(message)
        self.type_name = type_name
        self.sha256 = sha256


class LinkError(HlwasmError):
    """Imports are missing or do not fit.

    Attributes:
        problems: one line per problem, each starting with the import's WIT name.
    """

    def __init__(self, message: str, problems: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class ConversionError(HlwasmError):
    """A Python value does not fit its WIT type.

    Attributes:
        path: where, such as ``"ops.add: parameter b"`` or ``"ops.draw: parameter s.points[3].x"``.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class WitTypeError(ConversionError, TypeError):
    """The value has the wrong Python type."""


class WitValueError(ConversionError, ValueError):
    """The value has the right type but does not fit: range, length, encoding, case name."""


class Err(HlwasmError, Generic[E]):
    """The error arm of a WIT ``result``.

    A call whose function returns a ``result`` raises it; a host function raises it
    (or returns it) to give the component an error. Inside other values an error arm is
    an ``Err`` object that is not raised.

    Attributes:
        value: the payload, None where the arm has none.
    """

    __match_args__ = ("value",)

    def __init__(self, value: E) -> None:
        super().__init__(value)
        self.value = value

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        # As tuples compare: an object equals itself, NaN too.
        return bool((self.value,) == (other.value,))

    # Exceptions are hashed by identity: a payload need not be hashable.
    __hash__ = HlwasmError.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}(value={self.value!r})"

    def __str__(self) -> str:
        return f"the component returned an error: {self.value!r}"


class GuestError(HlwasmError):
    """The guest did not run to its end; the sandbox is poisoned until it is restored."""


class TrapCode(Enum):
    """Why WebAssembly trapped. Values are stable names."""

    OTHER = "other"
    STACK_OVERFLOW = "stack-overflow"
    MEMORY_OUT_OF_BOUNDS = "memory-out-of-bounds"
    HEAP_MISALIGNED = "heap-misaligned"
    TABLE_OUT_OF_BOUNDS = "table-out-of-bounds"
    INDIRECT_CALL_TO_NULL = "indirect-call-to-null"
    BAD_SIGNATURE = "bad-signature"
    INTEGER_OVERFLOW = "integer-overflow"
    INTEGER_DIVISION_BY_ZERO = "integer-division-by-zero"
    BAD_CONVERSION_TO_INTEGER = "bad-conversion-to-integer"
    UNREACHABLE = "unreachable"
    INTERRUPT = "interrupt"
    OUT_OF_FUEL = "out-of-fuel"
    NULL_REFERENCE = "null-reference"
    ARRAY_OUT_OF_BOUNDS = "array-out-of-bounds"
    ALLOCATION_TOO_LARGE = "allocation-too-large"
    CAST_FAILURE = "cast-failure"
    CANNOT_ENTER_COMPONENT = "cannot-enter-component"
    CANNOT_LEAVE_COMPONENT = "cannot-leave-component"
    CANONICAL_ABI = "canonical-abi"
    INVALID_STRING = "invalid-string"
    BAD_HANDLE = "bad-handle"


class Frame(Frozen):
    """One frame of a wasm backtrace.

    Attributes:
        function_index: index of the function in its core module.
        offset: byte offset of the instruction in its core module.
        module: name of the core module, empty if it has none.
        function: name of the function, empty if it has none.
    """

    function_index: int
    offset: int
    module: str
    function: str

    def __str__(self) -> str:
        name = self.function or f"function {self.function_index}"
        where = f"{self.module}!" if self.module else ""
        return f"{where}{name} (offset {self.offset:#x})"


class Trap(GuestError):
    """WebAssembly's own abnormal end.

    Attributes:
        code: why.
        message: one line in words.
        backtrace: wasm frames, innermost first, without the bridges' own.
    """

    def __init__(
        self, message: str, code: TrapCode = TrapCode.OTHER, backtrace: tuple[Frame, ...] = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.backtrace = backtrace

    def __str__(self) -> str:
        return _with_frames(self.message, self.backtrace)


def _with_frames(message: str, backtrace: tuple[Frame, ...]) -> str:
    return "\n".join([message, *(f"  at {frame}" for frame in backtrace)])


class GuestFault(GuestError):
    """A CPU exception or panic of the guest runtime: a bug of hlwasm, or an attack."""


class GuestDataError(GuestError):
    """The guest passed data that is not valid: a pointer, length, discriminant or string."""


class ProgramExit(GuestError):
    """A WASI program asked to exit.

    Attributes:
        code: the program's exit code, 0 to 255 as far as WASI programs use it.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the program exited with code {code}")
        self.code = code


class UnsupportedImport(GuestError):
    """The guest called an import that is linked but has no implementation.

    Attributes:
        name: WIT name of the function.
    """

    def __init__(self, message: str, name: str = "") -> None:
        super().__init__(message)
        self.name = name


class LimitExceeded(HlwasmError):
    """A limit was reached.

    Where the guest was running, it ended there, and the sandbox is poisoned.

    Attributes:
        limit: name of the field of :class:`hlwasm.Limits`, or of the argument of
            :func:`hlwasm.load`.
        value: the limit's value, in the unit of that field.
    """

    def __init__(self, message: str, limit: str = "", value: float | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.value = value


class DeadlineExceeded(LimitExceeded):
    """The wall-clock deadline passed."""


class CpuTimeExceeded(LimitExceeded):
    """A call used up its CPU time."""


class FuelExhausted(LimitExceeded):
    """A call used up its fuel.

    Attributes:
        backtrace: wasm frames as of a :class:`Trap`, where it was noticed: at the beginning of
            a function or a loop, or at a host call. Empty if it was at the end of the call.
    """

    def __init__(
        self,
        message: str,
        limit: str = "",
        value: float | None = None,
        backtrace: tuple[Frame, ...] = (),
    ) -> None:
        super().__init__(message, limit, value)
        self.backtrace = backtrace

    def __str__(self) -> str:
        return _with_frames(super().__str__(), self.backtrace)


class MemoryLimitExceeded(LimitExceeded):
    """The component needs more memory than it may have, from its start or for its objects.

    ``memory.grow`` beyond a limit is no exception: the component is answered −1.
    """


class TableLimitExceeded(LimitExceeded):
    """A table of the component starts with too many elements.

    ``table.grow`` beyond the limit is no exception: the component is answered −1.
    """


class HostCallLimitExceeded(LimitExceeded):
    """A call made too many host calls."""


class HostCallBytesExceeded(LimitExceeded):
    """The host calls of a call carried too many bytes."""


class OutputLimitExceeded(LimitExceeded):
    """A call wrote too much to standard output and error, or to the log."""


class TransferLimitExceeded(LimitExceeded):
    """The values of one guest or host call do not fit the transfer memory."""


class Cancelled(HlwasmError):
    """The call was cancelled from outside."""


class SandboxStateError(HlwasmError):
    """The sandbox cannot do this in its present state."""


class SandboxBusy(SandboxStateError):
    """The sandbox is running in another thread."""


class ReentrantCall(SandboxStateError):
    """The sandbox is running, and this call comes from one of its own host functions."""


class SandboxPoisoned(SandboxStateError):
    """An earlier call did not run to its end."""


class SandboxClosed(SandboxStateError):
    """The sandbox was closed."""


class ViewInUse(SandboxStateError, BufferError):
    """An array or slice made of a view of a result is alive: see :func:`hlwasm.view`."""


class PoolError(HlwasmError):
    """A pool cannot do this, or not now."""


class PoolTimeout(PoolError, TimeoutError):
    """No sandbox, or no place in the queue, became free in time."""


class PoolClosed(PoolError, RuntimeError):
    """The pool was closed, or belongs to another process."""


class SnapshotError(HlwasmError):
    """The state cannot be captured, or a snapshot cannot be used here."""


class CheckFailed(HlwasmError, AssertionError):
    """A check of :mod:`hlwasm.testing` found a difference."""


class UnexpectedCall(CheckFailed):
    """The component made a host call that was not expected."""


class MissingCall(CheckFailed):
    """A host call that was expected was not made, or not so often."""


class ReplayMismatch(CheckFailed):
    """A replay went another way than its recording."""


class RecordingError(HlwasmError):
    """A recording cannot be read or written.

    Attributes:
        line: number of the line in the file that is wrong, 0 where it is none.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class NoHypervisorFound(HlwasmError):
    """No usable hypervisor.

    Attributes:
        hints: what to do about it, one line each.
    """

    def __init__(self, message: str, hints: tuple[str, ...] = ()) -> None:
        super().__init__("\n".join([message, *(f"  - {hint}" for hint in hints)]))
        self.hints = hints


class NativeError(HlwasmError):
    """An unexpected failure of the VMM or of the kernel.

    Attributes:
        status: the status code of the C ABI.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
