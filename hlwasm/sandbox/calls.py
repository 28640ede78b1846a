"""The call loop: run the vCPU, serve its exits, until the command has ended.

This is the context that generated codecs run in (``hlwasm.codec.context``). One call is
one ``begin``, a lowering, one ``invoke``, a lifting and one ``end``; without host calls
``invoke`` is one native call.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Collection
from struct import Struct
from typing import TYPE_CHECKING, Protocol

from hlwasm.errors import (
    ArtifactError,
    DeadlineExceeded,
    GuestDataError,
    GuestFault,
    HlwasmError,
    SandboxStateError,
    Trap,
    TrapCode,
)
from hlwasm.logs import log
from hlwasm.native import _abi
from hlwasm.native.handles import Counters, NativeSandbox, NativeSnapshot, Usage
from hlwasm.native.reports import parse_report
from hlwasm.native.status import exception_of
from hlwasm.sandbox.call_endings import deadline_exceeded, failure, interruption, summary
from hlwasm.sandbox.limits import Limits
from hlwasm.sandbox.meter import CallMeter, FuelMeter
from hlwasm.sandbox.resources import ResourceTable
from hlwasm.sandbox.state import Guard, Status
from hlwasm.wit.model import Description

if TYPE_CHECKING:
    from hlwasm.sandbox.expiry import Attendance
    from hlwasm.sandbox.guest_resources import HeldResource
    from hlwasm.sandbox.loans import Loan

LOGGER = "hlwasm.guest_runtime"

# Answers a host call: pointer to the parameters → pointer to the result.
Serve = Callable[[int], int]


class Binders(Protocol):
    """What makes the servers of host functions, by their numbers; a mapping, for example."""

    def get(self, number: int, /) -> Callable[[], Serve] | None:
        """Makes the server of one; None where there is none."""


# Traps of the adapters around the component: what it passed is no value of its type.
_BAD_VALUE = frozenset({TrapCode.CANONICAL_ABI, TrapCode.INVALID_STRING, TrapCode.BAD_HANDLE})

_HEADER = Struct("<II")  # overflow, cursor
_DROP_PARAMETERS = Struct("<II")  # cursor, handle


class CallLoop:
    """Runs commands in one native sandbox.

    Args:
        native: the booted micro-VM.
        description: of the component that it will run.
        resource_classes: Python classes of guest resources, by type index.
        guard: lets callers in; by default one at a time, told apart by their threads.
        limits: what each call may use.
        fuel: whether the artifact counts fuel.

    Attributes:
        guard: who may use the sandbox, and whether it is whole.
        description: of the component.
        meter: what the running call has used.
        fuel: makes calls with fuel, None where the artifact does not count it.
        count_bytes: the meter's.
        export_memory, import_memory: the transfer memories.
        resources: converts handles.
        bind_import: makes the server of host function number n, at its first call. One under
            the number of a drop goes before the usual one, which calls ``close``.
        logged: the guest runtime has had something to say.
        closed: everything is freed.
        interrupt_providers: raises an exception in host functions of providers that wait;
            called from any thread.
    """

    def __init__(
        self,
        native: NativeSandbox,
        description: Description,
        resource_classes: dict[int, type[HeldResource]],
        guard: Guard | None = None,
        limits: Limits | None = None,
        fuel: bool = False,
    ) -> None:
        self._limits = limits = limits or Limits()
        self.meter = CallMeter(limits)
        self.count_bytes = self.meter.count_bytes
        self.fuel = FuelMeter(native, limits) if fuel else None
        self.guard = guard or Guard()
        self.description = description
        self.import_memory = native.window(_abi.WINDOW_IMPORT_BRIDGE)
        self.export_memory = native.window(_abi.WINDOW_EXPORT_BRIDGE)
        self.resources = ResourceTable(description, self._drop_guest, resource_classes)
        self.resources.exits = native.exits
        self.bind_import: Binders = {}
        self.interrupt_providers: Callable[[BaseException], None] = lambda error: None
        self.end = self.guard.end
        self._native = native
        self._pointer = native.pointer
        self._call = native.lib.hlw_call if self.fuel is None else self.fuel.call
        self._answer = native.lib.hlw_answer
        self._restore = native.lib.hlw_restore
        # The thread that restored last, until another one has lowered values.
        self._thread: int | None = None
        self._garbage = self.resources.garbage
        self._lent = self.resources._lent
        self._serves: dict[int, Serve] = {}
        self.logged = False
        self.closed = False
        self._attendance: Attendance | None = None
        self._serve_kind = self._serve if limits.deadline is None else self._serve_in_time
        for memory in (self.import_memory, self.export_memory):
            if memory:
                _HEADER.pack_into(memory, _abi.TRANSFER_OVERFLOW, 0, _abi.TRANSFER_DATA)

    # The context of the codecs ---------------------------------------------------

    def begin(self) -> None:
        """Enters the sandbox; see :meth:`hlwasm.sandbox.state.Guard.begin`."""
        self.guard.begin()
        try:
            # A signal handler may raise behind any call, that of `get_ident` too.
            if self._thread != get_ident():
                self._thread = None
            if self._lent or self._garbage:
                # Of a call that was not made: another value did not fit, or Ctrl-C came.
                self.resources.undo_call()
                self._collect_garbage()
        except BaseException:
            self.end()
            raise

    def invoke(self, index: int) -> None:
        """Runs ``call-index`` to its end.

        Raises:
            Trap, GuestFault, GuestDataError, LimitExceeded, Cancelled, or whatever a host
            function raised: the sandbox is poisoned then.
        """
        try:
            kind = self._call(self._pointer, index)
            if kind:
                self._serve_kind(kind)
        except BaseException as error:
            self.name_call(error, index)
            self.poison_unless_ready(error)
            if self._lent and self.guard.status is Status.READY:
                self.resources.undo_call()
            raise
        if self._lent:
            self.resources.end_call()

    def call(self, index: int) -> int:
        """Enters ``call-index`` and returns the kind of its first exit."""
        kind: int = self._call(self._pointer, index)
        return kind

    def poison(self, error: BaseException) -> None:
        """What the call gave back is not valid: the guest cannot be trusted to be whole."""
        self.guard.poison(summary(error))

    def lend(self) -> Loan:
        """Lends the memory that the result of the running call is in."""
        from hlwasm.sandbox.loans import Loan

        loan = Loan(self._native.lend(_abi.WINDOW_EXPORT_BRIDGE), self.guard)
        self.guard.lend(loan)
        return loan

    # Commands ---------------------------------------------------------------------

    def command(self, command: int, *arguments: int) -> None:
        """Runs any command to its end; like :meth:`invoke`, with ``begin`` and ``end``."""
        self.guard.begin()
        try:
            kind = self._native.command(command, *arguments)
            if kind:
                self._serve_kind(kind)
        except BaseException as error:
            self.poison_unless_ready(error)
            raise
        finally:
            self.end()

    def poison_unless_ready(self, error: BaseException) -> None:
        """A call ended with ``error``: the sandbox is poisoned if its guest did not end."""
        # KeyboardInterrupt can come between any two bytecodes, also when the guest is not
        # running: then the last exit is still (or again) a finished command.
        at_ready = self._native.exit.kind == self._native.lib.HLW_EXIT_DONE
        if not at_ready or isinstance(error, HlwasmError):
            self.guard.poison(summary(error))

    def name_call(self, error: BaseException, index: int) -> None:
        """Puts the function of ``call-index`` into the message of a trap of the adapters,
        whose frames tell nothing, and of one in a destructor, which any call may run.
        """
        if not isinstance(error, Trap):
            return
        description = self.description
        function = description.exports_by_index.get(index)
        if function is None:
            resource = description.resources_by_drop.get(index)
            if resource is None:
                return  # the description is of another component's calls
            label = f"dropping a {self.resources.type_name(resource)}"
        elif error.code in _BAD_VALUE:
            from hlwasm.codec.plain import label_of

            label = label_of(function)
        else:
            return
        if error.code in _BAD_VALUE:
            handle = error.code is TrapCode.BAD_HANDLE
            what = "misused a resource" if handle else "returned or passed no value"
            label = f"{label}: the component {what}"
        error.message = f"{label}: {error.message}"

    def _drop_guest(self, number: int) -> None:
        if self.guard.loan is not None:
            # A finaliser must not end views of a result: dropped before the next call.
            self._garbage.append(number)
            return
        try:
            self.begin()
        except SandboxStateError:
            # Poisoned or closed: the resource is gone. Busy: dropped before the next call.
            if self.guard.status is Status.READY:
                self._garbage.append(number)
            return
        except BaseException:
            self._garbage.append(number)
            raise
        try:
            self._drop_now(number)
        finally:
            self.end()

    def _drop_now(self, number: int) -> None:
        held = self.resources.release(number)
        if held is None:
            return  # a restore took the handle away
        exits = self._native.exits()
        try:
            self._call_drop(self.prepare_drop(*held), number)
        except BaseException:
            self.keep_undropped(number, held, exits)
            raise

    def _call_drop(self, index: int, number: int) -> None:
        """Makes the call that drops a resource. Overridden by what watches calls."""
        self.invoke(index)

    def keep_undropped(self, number: int, held: tuple[int, int], exits: int | None) -> None:
        """A drop ended with an exception: the resource is garbage again if the guest was not
        entered.

        Args:
            number, held: the resource's, and what :meth:`ResourceTable.release` returned.
            exits: of the native sandbox, before.
        """
        if self.guard.status is Status.READY and self._native.exits() == exits:
            self.resources.hold_guest(number, *held)
            self._garbage.append(number)

    def prepare_drop(self, type_index: int, handle: int) -> int:
        """Lowers a handle; returns the index of the call that drops its resource."""
        data = _abi.TRANSFER_DATA
        _DROP_PARAMETERS.pack_into(self.export_memory, _abi.TRANSFER_CURSOR, data + 16, handle)
        return self.description.drops_by_resource[type_index]

    def _collect_garbage(self) -> None:
        while self._garbage:
            self._drop_now(self._garbage.pop())

    # Exits ------------------------------------------------------------------------

    def _serve(self, kind: int) -> None:
        """Serves exits until the command is done."""
        guard = self.guard
        guard.host_caller = get_ident()
        self.meter.begin()
        try:
            while kind:
                kind = self.serve_exit(kind)
        finally:
            guard.host_caller = None

    def _serve_in_time(self, kind: int) -> None:
        """The same, for calls with a deadline, which host functions have to keep too."""
        from hlwasm.sandbox.expiry import Attendance, DeadlinePassed

        if self._attendance is not None:
            # Ctrl-C came right before it was to leave.
            self._attendance.leave()
        self._attendance = attendance = Attendance(
            self._native.is_expired, self._interrupt_providers
        )
        try:
            try:
                attendance.enter()
                self._serve(kind)
            finally:
                passed = attendance.leave()
                self._attendance = None
        except DeadlinePassed:
            if not attendance.is_late():
                raise  # of a call that this one is part of
            passed = True
        except Exception as error:
            # A host function may have made another exception of what was raised in it.
            ours = isinstance(error, HlwasmError) and not isinstance(error, DeadlineExceeded)
            if ours or not attendance.is_late():
                raise
            raise deadline_exceeded(self._limits.deadline) from error
        if passed:
            raise deadline_exceeded(self._limits.deadline) from None

    def abandonable(self, implementation: Callable[..., object]) -> Callable[..., object]:
        """A host function that runs in another thread, and is given up at the deadline."""

        def call(*arguments: object) -> object:
            from hlwasm.sandbox.errands import run_elsewhere

            attendance = self._attendance
            if attendance is None:
                return implementation(*arguments)
            guard = self.guard
            caller = guard.host_caller

            def run(*arguments: object) -> object:
                guard.host_caller = get_ident()
                return implementation(*arguments)

            try:
                return run_elsewhere(run, arguments, attendance)
            finally:
                guard.host_caller = caller

        return call

    def _interrupt_providers(self) -> None:
        self.interrupt_providers(deadline_exceeded(self._limits.deadline))

    def serve_exit(self, kind: int) -> int:
        """Serves one exit, runs the vCPU to the next one and returns its kind.

        Raises:
            Trap, GuestFault, …: the exit ends the command; or what a host function raised.
        """
        native = self._native
        lib, at = native.lib, native.exit
        if kind == lib.HLW_EXIT_HOST_CALL:
            # What is raised here ends the call: the guest does not run again. It could only
            # unwind, and a hostile one would not, so that it would outlive Ctrl-C.
            return self.answer(self.server(at.value0)(at.value1))
        if kind == lib.HLW_EXIT_INTERRUPTED:
            # Python's signal handlers have run by now; what they raised is raised.
            if at.code:
                raise interruption(at.code, self._limits)
        elif kind == lib.HLW_EXIT_LOG:
            self.logged = True
            self.meter.count_log(at.text_bytes)
            log(LOGGER, at.value0 % 64, "%s", parse_report(native.text())[0])
        else:
            memories = self.import_memory, self.export_memory
            raise failure(native, kind, self._limits, memories)
        return self.resume()

    def answer(self, result: int) -> int:
        """Answers the host call that the guest waits for, and runs it to its next exit."""
        kind: int = self._answer(self._pointer, 0, result)
        return kind

    def resume(self) -> int:
        """Goes on after an exit that wants no answer, to the next one."""
        kind: int = self._native.lib.hlw_resume(self._pointer)
        return kind

    def server(self, function: int) -> Serve:
        """What serves host function number n, or the drop of a host resource; asked for each
        call, bound at the first.

        Raises:
            GuestDataError: the guest made the number up.
            HostCallLimitExceeded: it makes too many calls.
        """
        meter = self.meter
        meter.host_calls_left -= 1
        if meter.host_calls_left < 0:
            raise meter.host_calls_exceeded()
        return self._serves.get(function) or self._bind(function)

    def called(self) -> Collection[int]:
        """Numbers of the host functions, and of drops, that the guest has called so far."""
        return self._serves.keys()

    def _bind(self, function: int) -> Serve:
        bind = self.bind_import.get(function)
        if bind is not None:
            serve = bind()
        elif function & _abi.TRANSFER_DROP_RESOURCE:
            serve = self._bind_destructor(function & ~_abi.TRANSFER_DROP_RESOURCE)
        else:
            raise GuestDataError(f"the guest called an unknown host function: {function}")
        self._serves[function] = serve
        return serve

    def _bind_destructor(self, number: int) -> Serve:
        destructors = self.description.destructors_by_number
        if number not in destructors:
            raise GuestDataError(f"the guest dropped a resource of an unknown type: {number}")
        type_index = destructors[number]

        def destroy(rep: int) -> int:
            self.resources.destroy_host(type_index, rep)
            return 0

        return destroy

    # Life -------------------------------------------------------------------------

    def load_and_instantiate(self, description: Description) -> None:
        """Loads the artifact and instantiates the component in it.

        Raises:
            ArtifactError: the guest runtime cannot load the artifact.
            LimitExceeded: the component needs more than the limits allow.
            Trap: the component trapped while it was instantiated.
        """
        self.load()
        self.command(*self.instantiation(description))

    def load(self) -> None:
        """Loads the artifact; calls no host function.

        Raises:
            ArtifactError: the guest runtime cannot load it.
        """
        size = self._native.artifact_bytes
        try:
            self.command(_abi.COMMAND_LOAD, _abi.ARTIFACT, size, self.fuel is not None)
        except GuestFault as error:
            raise ArtifactError(f"the guest runtime cannot load the artifact: {error}") from error

    def instantiation(self, description: Description) -> tuple[int, ...]:
        """The command that instantiates the component: it, and its arguments."""
        return (
            _abi.COMMAND_INSTANTIATE,
            description.call_count,
            description.import_pages,
            description.export_pages,
            self._limits.table_elements,
            0 if self.fuel is None else self.fuel.budget,
        )

    def snapshot(self) -> NativeSnapshot:
        """Saves the guest. Between ``begin`` and ``end``."""
        return self._native.snapshot()

    def restore(self, snapshot: NativeSnapshot, elsewhere: bool = False) -> None:
        """Enters a sandbox that no call runs in, and puts the guest back to a snapshot.
        ``end`` follows, unless this raises.

        Args:
            snapshot: of a sandbox of the same layout.
            elsewhere: a worker does this for a task, which has entered the sandbox and will
                leave it, and lowers values in another thread.

        Raises:
            SandboxBusy, ReentrantCall, SandboxClosed, ViewInUse: see there.
            NativeError: the kernel has no memory left; the sandbox is of no use then.
        """
        guard = self.guard
        if not elsewhere:
            guard.begin_look(end_loan=True)
        try:
            thread = get_ident()
            # A call whose arguments did not fit may have lowered some, and never ran the guest.
            alone = self._thread == thread and not elsewhere
            self._thread = thread
            status = self._restore(self._pointer, snapshot.pointer, alone)
            if status < 0:
                raise exception_of(self._native.ffi, self._native.lib, status)
            if not guard.ready:
                guard.heal()
        except BaseException as error:
            # KeyboardInterrupt comes as soon as the native half returns.
            self.poison_restored(error)
            if not elsewhere:
                self.end()
            raise

    def poison_restored(self, error: BaseException) -> None:
        """The restore failed half-way."""
        self.guard.poison(summary(error))

    def counters(self) -> Counters:
        """What the native sandbox has counted."""
        return self._native.counters()

    def usage(self) -> Usage:
        """What the native sandbox takes and has done. Nothing runs in it."""
        return self._native.usage()

    def kick(self) -> None:
        """Cancels the running call. Any thread may call this."""
        self._native.kick()

    def close(self) -> None:
        """Frees everything. By the sandbox, when nothing runs; again if Ctrl-C ended it."""
        try:
            self.resources.close()
        finally:
            self._serves.clear()
            self.bind_import = {}
            self._pointer = None
            loan, self.guard.loan = self.guard.loan, None
            self._native.close(lent=loan is not None and not loan.release())
            self.closed = True
