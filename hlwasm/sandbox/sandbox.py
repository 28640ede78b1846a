"""The public sandbox."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any

from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.errors import Cancelled, Err, HlwasmError, ProgramExit
from hlwasm.frozen import Uncopied
from hlwasm.native.handles import Counters, NativeSandbox, Usage
from hlwasm.native.library import load_library
from hlwasm.sandbox.calls import CallLoop, Serve
from hlwasm.sandbox.exports import Bind, Exports, ResourceClasses, exports_named
from hlwasm.sandbox.guest_resources import GuestResource, HeldResource
from hlwasm.sandbox.imports import Linker, Resolver
from hlwasm.sandbox.limits import Limits
from hlwasm.sandbox.saving import Saving
from hlwasm.sandbox.state import Guard, Status
from hlwasm.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hlwasm.component import Component
    from hlwasm.sandbox.providers import Provider
    from hlwasm.sandbox.snapshot import Snapshot
    from hlwasm.sandbox.starts import Start
    from hlwasm.wasi import Wasi


class SandboxBase(Saving, Uncopied):
    """What all sandboxes are, apart from how they are called.

    Attributes:
        component: what it runs.
        exports: the component's exports; see :class:`hlwasm.sandbox.exports.Exports`.
        limits: what it may use.
    """

    exports: Exports
    # What runs its calls.
    loop_class = CallLoop
    _instead = "fork() makes a second one with the same state"

    def __init__(
        self,
        component: Component,
        imports: Any,
        wasi: Wasi | None,
        limits: Limits,
        snapshot: Snapshot | None = None,
    ) -> None:
        self._steps = steps = Stopwatch()
        if not isinstance(limits, Limits):
            raise TypeError(f"limits: expected hlwasm.Limits, not {type(limits).__name__}")
        if limits.fuel is not None and not component.artifact.metadata.fuel:
            raise ValueError(
                f"{component.name} does not count fuel, so that Limits(fuel=…) cannot limit it: "
                "load it by hlwasm.load(…, fuel=True)"
            )
        self._imports = imports
        self._wasi = wasi
        providers: Sequence[Provider] = component._providers(wasi)
        # Link first: it needs no VM, and its errors are the likeliest.
        self._linker = linker = Linker(component.description, imports, providers)
        self._linked = self._link(linker)
        steps.step("linking")
        self.component = component
        self.limits = limits
        self._providers = providers
        self._guard = Guard()
        self._start: Start | None = None
        if snapshot is not None:
            self._start = snapshot._start
        elif component._starts is not None:
            self._start = component._starts.find(limits, linker.provided, providers)

    def _link(self, linker: Linker) -> Mapping[int, Resolver]:
        """What implements each import. Overridden by what watches or replaces host functions."""
        return linker.link()

    def _boot(self) -> NativeSandbox:
        """Makes the micro-VM and its call loop, which knows no host functions yet."""
        description, limits, steps = self.component.description, self.limits, self._steps
        load_library()
        steps.step("library")
        saved = None if self._start is None else self._start.native
        native = NativeSandbox(self.component.configuration(limits), saved)
        steps.step("VM creation")
        if saved is None:
            steps.split(native.steps())
        self._classes = ResourceClasses(description)
        if limits.deadline is not None or limits.cpu_time is not None:
            native.limit_time(limits.deadline, limits.cpu_time)
        fuel = self.component.artifact.metadata.fuel
        self._loop = loop = self.loop_class(
            native, description, self._classes, self._guard, limits, fuel
        )
        loop.resources.component = self.component.name
        loop.resources.fits = self._fits
        for provider in self._providers:
            provider.count_output(loop.meter)
        loop.interrupt_providers = self._interrupt_providers
        return native

    def _fits(self, type_index: int, value: Any) -> bool:
        linker = self._linker
        if linker.is_provided(type_index):
            return True
        # Only here: most components take no resources from the user.
        from hlwasm.sandbox.host_types import all_fit

        given = linker.resource_class(type_index)
        return all_fit(self.component.description, type_index, given, value)

    def _export(self, bind: Bind, base: type[HeldResource]) -> None:
        """The component is instantiated: its exports can be called."""
        self._classes.start(bind, base)
        self.exports = Exports(self.component.description, self._classes, bind)
        self._steps.step("instantiation")

    def _keep_start(self) -> None:
        """Keeps the state right after instantiation for other sandboxes, if it is wanted."""
        starts = self.component._starts
        if self._start is None and starts is not None and starts.wants(self.limits):
            starts.keep(self)
            self._steps.step("snapshot")

    @property
    def status(self) -> Status:
        """What the sandbox can do now."""
        return self._guard.current()

    @property
    def poison_reason(self) -> str | None:
        """Why the sandbox is poisoned, None where it is not."""
        return self._guard.reason

    @property
    def fuel_used(self) -> int | None:
        """Fuel that the last call used, instantiating included.

        None where the artifact does not count it, and where the call was ended from
        outside. After a trap, the fuel up to the last branch or call before it.
        """
        meter = self._loop.fuel
        return None if meter is None else meter.used()

    def _program(self) -> Callable[[], Any]:
        """The component's ``wasi:cli/run``.

        Raises:
            HlwasmError: the component is not a command.
        """
        try:
            program: Callable[[], Any] = self.exports["wasi:cli/run"].run
        except KeyError:
            raise HlwasmError(
                f"{self.component.name} is not a program: it does not export wasi:cli/run; "
                "call its functions through .exports or `hlwasm call`"
            ) from None
        return program

    def cancel(self) -> None:
        """Makes the call that is running, or the next one, raise :class:`hlwasm.Cancelled`.

        Any thread may call this; the sandbox is poisoned by that call. Where none is running,
        the cancel waits for the next one and ends it before its guest does anything: whoever
        decides that a request is over does not know whether its call has begun yet, and such a
        cancel must not get lost. One that came too late, after its call had ended, waits
        likewise. :meth:`restore` takes it back; several of them are one.
        """
        if self._guard.status is not Status.CLOSED:
            self._loop.kick()
            # A host function that waits for input or time ends then, too.
            self._interrupt_providers(Cancelled("the call was cancelled"))

    def _interrupt_providers(self, error: BaseException) -> None:
        for provider in self._providers:
            provider.interrupt(error)

    def steps(self) -> list[tuple[str, float]]:
        """What making the sandbox took: name and seconds of each step, in order."""
        return list(self._steps.steps)

    def counters(self) -> Counters:
        """What the sandbox has done since it was made.

        That is booting and instantiating, too, unless it started from a snapshot or from a
        state that was kept; see ``reuse`` of :func:`hlwasm.load`.
        """
        if self._guard.status is Status.CLOSED:
            self._guard.refuse()
        return self._loop.counters()

    def usage(self) -> Usage:
        """What the sandbox takes now, and what it has done since it was made.

        Raises:
            SandboxStateError: a call is running, or the sandbox is closed.
        """
        guard = self._guard
        guard.begin_look()
        try:
            return self._loop.usage()
        finally:
            guard.end()

    # Type checkers would take it for a permission of any attribute.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            # Also where one is just being made, or was not made after all.
            component = None if name.startswith("_") else self.__dict__.get("component")
            message = f"{type(self).__name__!r} object has no attribute {name!r}"
            if component is not None and exports_named(component.description, name):
                message += f": the component exports it, as sandbox.exports.{name}"
            raise AttributeError(message, name=name, obj=self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.component.name}: {self.status.value}>"


def exit_code(end: ProgramExit | Err[Any]) -> int:
    """The exit code of a program that ended in this way."""
    return end.code if isinstance(end, ProgramExit) else 1


class Sandbox(SandboxBase):
    """One component running in one micro-VM.

    Made by :meth:`hlwasm.Component.instantiate`. One thread may use it at a time; another
    gets :class:`hlwasm.SandboxBusy`. Close it, or use it in a ``with`` statement.
    """

    _freed = False

    def __init__(
        self,
        component: Component,
        imports: Any,
        wasi: Wasi | None,
        limits: Limits,
        snapshot: Snapshot | None = None,
    ) -> None:
        super().__init__(component, imports, wasi, limits, snapshot)
        self._boot()
        loop = self._loop
        abandon = limits.abandon_host_calls and limits.deadline is not None
        own = self._linker.provided if abandon else None
        loop.bind_import = _Binders(self._linked, loop, own)
        try:
            start = self._start
            if start is None:
                loop.load_and_instantiate(component.description)
            elif start.host is not None:
                self._host().restore(start.host)
            self._export(partial(bind_export, context=loop), GuestResource)
            self._keep_start()
        except BaseException:
            self.close()
            raise

    def run(self) -> int:
        """Runs the program: the component's ``wasi:cli/run``.

        Returns:
            The program's exit code.

        Raises:
            HlwasmError: the component is not a command.
            Trap, GuestFault, …: as for any call.
        """
        program = self._program()
        try:
            program()
        except (ProgramExit, Err) as end:
            return exit_code(end)
        return 0

    def snapshot(self) -> Snapshot:
        """Saves the state that the sandbox is in, between two calls.

        Raises:
            SandboxStateError: a call is running, or did not run to its end.
            SnapshotError: the component holds something of the host that cannot be saved.
        """
        self._loop.begin()
        try:
            return self._save()
        finally:
            self._loop.end()

    def restore(self, snapshot: Snapshot) -> None:
        """Puts the sandbox back to a snapshot, whatever state it is in but closed.

        Nothing that happened since is left: neither in memory and registers, nor in tables of
        the host. What host functions did stays done. Costs a few microseconds, and less than
        a tenth of one for each page that the guest writes to.

        Args:
            snapshot: of a sandbox of the same component with the same limits.

        Raises:
            SandboxBusy, ReentrantCall: a call is running.
            SandboxClosed: there is nothing left to restore.
            SnapshotError: the snapshot is of another component or other limits.
        """
        self._restore(snapshot)

    def fork(self, imports: Any = None, *, wasi: Wasi | None = None) -> Sandbox:
        """A second sandbox that goes on from the same state.

        Args:
            imports: as for :meth:`hlwasm.Component.instantiate`; by default the same objects
                as this sandbox's.
            wasi: likewise; by default this sandbox's grants.

        Raises:
            SandboxStateError, SnapshotError: as for :meth:`snapshot`.
        """
        given = self._imports if imports is None else imports
        grants = self._wasi if wasi is None else wasi
        return self.snapshot().instantiate(given, wasi=grants)

    def close(self) -> None:
        """Frees the micro-VM and closes the host resources that it held. Idempotent.

        Raises:
            SandboxBusy, ReentrantCall: a call is running.
        """
        self._guard.close(self._free)

    def _free(self) -> None:
        # Not only by the first to close: Ctrl-C may end that at any moment.
        if self._freed:
            return
        try:
            self._loop.close()
        finally:
            for provider in self._providers:
                provider.close()
            self._freed = self._loop.closed

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Binders:
    """Binds host functions to a sandbox, each at its first call.

    Args:
        linked: what implements them, by their numbers.
        loop: the sandbox's.
        waiting: interfaces whose functions end their own waits; those of all others may be
            given up at the deadline. None where they are not.
    """

    __slots__ = ("_linked", "_loop", "_waiting")

    def __init__(
        self,
        linked: Mapping[int, Resolver],
        loop: CallLoop,
        waiting: Mapping[str | None, Provider] | None,
    ) -> None:
        self._linked = linked
        self._loop = loop
        self._waiting = waiting

    def get(self, number: int, /) -> Callable[[], Serve] | None:
        """See :class:`hlwasm.sandbox.calls.Binders`."""
        resolve = self._linked.get(number)
        return None if resolve is None else partial(self._bind, number, resolve)

    def _bind(self, number: int, resolve: Resolver) -> Serve:
        loop = self._loop
        function = loop.description.imports_by_index[number]
        implementation = resolve()
        if self._waiting is not None and function.interface not in self._waiting:
            implementation = loop.abandonable(implementation)
        return bind_import(function, loop, implementation)
