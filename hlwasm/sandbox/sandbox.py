"""The public sandbox."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from hlwasm.codec.functions import bind_import
from hlwasm.errors import Cancelled, Err, HlwasmError, ProgramExit
from hlwasm.native.handles import Counters, NativeSandbox
from hlwasm.native.library import load_library
from hlwasm.sandbox.calls import CallLoop, Serve
from hlwasm.sandbox.exports import Exports, ResourceClasses
from hlwasm.sandbox.imports import Linker, Provider, Resolver
from hlwasm.sandbox.limits import Limits, total_memory_bytes, window_bytes
from hlwasm.sandbox.state import Status
from hlwasm.stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hlwasm.component import Component


class Sandbox:
    """One component running in one micro-VM.

    Made by :meth:`hlwasm.Component.instantiate`. One thread may use it at a time; another
    gets :class:`hlwasm.SandboxBusy`. Close it, or use it in a ``with`` statement.

    Attributes:
        component: what it runs.
        exports: the component's exports; see :class:`hlwasm.sandbox.exports.Exports`.
        limits: what it may use.
    """

    def __init__(
        self,
        component: Component,
        imports: Any,
        providers: Sequence[Provider],
        limits: Limits,
    ) -> None:
        self._steps = steps = Stopwatch()
        fuel = component.artifact.metadata.fuel
        if limits.fuel is not None and not fuel:
            raise ValueError(
                f"{component.name} does not count fuel, so that Limits(fuel=…) cannot limit it: "
                "load it by hlwasm.load(…, fuel=True)"
            )
        description = component.description
        # Link first: it needs no VM, and its errors are the likeliest.
        linked = Linker(description, imports, providers).link()
        steps.step("linking")
        load_library()
        steps.step("library")
        self.component = component
        self.limits = limits
        self._providers = providers
        native = NativeSandbox(
            window_bytes=window_bytes(description, limits),
            ram_bytes=limits.runtime_memory,
            artifact_fd=component.artifact.fd,
            artifact_bytes=component.artifact.code_bytes,
            total_memory_bytes=total_memory_bytes(limits),
        )
        steps.step("VM")
        steps.split(native.steps())
        classes = ResourceClasses(description)
        self._loop = loop = CallLoop(native, description, classes.by_type, limits, fuel)
        loop.bind_import = _import_binders(component, loop, linked)
        for provider in providers:
            provider.count_output(loop.meter)
        try:
            loop.load_and_instantiate(description)
            classes.build(loop)
            self.exports = Exports(description, classes, loop)
            steps.step("instantiation")
        except BaseException:
            self.close()
            raise

    @property
    def status(self) -> Status:
        """What the sandbox can do now."""
        return self._loop.guard.current()

    @property
    def poison_reason(self) -> str | None:
        """Why the sandbox is poisoned, None where it is not."""
        return self._loop.guard.reason

    @property
    def fuel_used(self) -> int | None:
        """Fuel that the last call used, instantiating included.

        None where the artifact does not count it, and where the call was ended from
        outside. After a trap, the fuel up to the last branch or call before it.
        """
        meter = self._loop.fuel
        return None if meter is None else meter.used()

    def run(self) -> int:
        """Runs the program: the component's ``wasi:cli/run``.

        Returns:
            The program's exit code.

        Raises:
            HlwasmError: the component is not a command.
            Trap, GuestFault, …: as for any call.
        """
        try:
            interface = self.exports["wasi:cli/run"]
        except KeyError:
            raise HlwasmError(
                f"{self.component.name} is not a program: it does not export wasi:cli/run; "
                "call its functions through .exports or `hlwasm call`"
            ) from None
        try:
            interface.run()
        except ProgramExit as exit_request:
            return exit_request.code
        except Err:
            return 1
        return 0

    def cancel(self) -> None:
        """Makes the call that is running, or the next one, raise :class:`hlwasm.Cancelled`.

        Any thread may call this; the sandbox is poisoned by it.
        """
        if self._loop.guard.status is not Status.CLOSED:
            self._loop.kick()
            # A host function that waits for input or time ends then, too.
            for provider in self._providers:
                provider.interrupt(Cancelled("the call was cancelled"))

    def steps(self) -> list[tuple[str, float]]:
        """What making the sandbox took: name and seconds of each step, in order."""
        return list(self._steps.steps)

    def counters(self) -> Counters:
        """What the sandbox has done since it was made."""
        if self._loop.guard.status is Status.CLOSED:
            self._loop.guard.refuse()
        return self._loop.counters()

    def close(self) -> None:
        """Frees the micro-VM and closes the host resources that it held. Idempotent.

        Raises:
            SandboxBusy, ReentrantCall: a call is running.
        """
        if self._loop.guard.close():
            try:
                self._loop.close()
            finally:
                for provider in self._providers:
                    provider.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Sandbox of {self.component.name}: {self.status.value}>"


def _import_binders(
    component: Component, loop: CallLoop, linked: dict[int, Resolver]
) -> dict[int, Callable[[], Serve]]:
    functions = {function.index: function for function in component.description.imports}

    def binder(index: int, resolve: Resolver) -> Callable[[], Serve]:
        return lambda: bind_import(functions[index], loop, resolve())

    return {index: binder(index, resolve) for index, resolve in linked.items()}
