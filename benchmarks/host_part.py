"""What the host does for a call, with a script in the place of the machine.

The scripted driver of native_vmm answers each run of the vCPU from a list, so what is left
is all of the host's work and nothing else: the generated codec, the foreign function call,
mailbox and checks in the VMM. Subtracting a bare exit from a whole call would leave mostly
noise: the exit is twenty times as long as the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import hlwasm
from benchmarks.measure import batch_time
from benchmarks.peers import Host
from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.sandbox.calls import CallLoop
from hlwasm.wit.model import Function
from tests.unit.sandbox.scripted import Script, scripted_sandbox

CALLS = 300
HOST_CALLS = 50


class HostPart:
    """Calls of bench.wat's functions that reach no guest.

    Args:
        component: bench.wat.
    """

    def __init__(self, component: hlwasm.Component) -> None:
        native = scripted_sandbox()
        self._script = Script(native)
        self._loop = loop = CallLoop(native, component.description, {})
        imports = component.description.imports
        loop.bind_import = {
            each.index: partial(bind_import, each, loop, Host.add) for each in imports
        }
        self._functions = {f.name: f for f in component.description.exports}
        self._host_add = imports[0].index
        # What the guest would pass to host.add: a record of two numbers.
        loop.import_memory[1024:1032] = bytes(8)

    def call(self) -> float:
        """Microseconds of a call of add, over one batch."""
        add = self._bound("add", 2, 3)
        for _ in range(CALLS):
            self._script.done()
        return batch_time(partial(add, 2, 3), CALLS)

    def host_call(self) -> float:
        """Microseconds of a host call of add, over one batch."""
        calls = self._bound("host-calls", 1)
        for _ in range(CALLS // HOST_CALLS):
            for _ in range(HOST_CALLS):
                self._script.host_call(self._host_add, 1024)
            self._script.done()
        with_calls = batch_time(partial(calls, HOST_CALLS), CALLS // HOST_CALLS)
        for _ in range(CALLS):
            self._script.done()
        return (with_calls - batch_time(partial(calls, 0), CALLS)) / HOST_CALLS

    def _bound(self, name: str, *arguments: int) -> Callable[..., object]:
        """The function, with its code generated."""
        call = bind_export(self._functions[name], self._loop)
        for _ in range(2):
            self._script.done()
            call(*arguments)
        return call

    def close(self) -> None:
        """Frees the sandbox."""
        self._loop.guard.close()
        self._loop.close()


class EchoPart:
    """Calls that return their parameter, and reach no guest.

    Args:
        component: whose functions they are.
    """

    def __init__(self, component: hlwasm.Component) -> None:
        native = scripted_sandbox()
        self._script = Script(native)
        self._loop = CallLoop(native, component.description, {})
        self._exports = component.description.exports_by_interface

    def echo(self, interface: str, name: str, value: object) -> Callable[[int], float]:
        """What measures a batch of calls with this value, in microseconds of one."""
        function = self._function(interface, name)
        call = bind_export(function, self._loop)
        memory = self._loop.export_memory
        # Zeros are a value of every type.
        memory[:4096] = bytes(4096)
        self._script.done()
        call(value)
        # Parameters are written to the same place each time, and the result lies behind them.
        size, offset = function.params_size, function.result_offset
        memory[offset : offset + size] = bytes(memory[64 : 64 + size])
        return self._measured(partial(call, value))

    def handle(self, interface: str) -> Callable[[int], float]:
        """The same for a method of a resource that takes nothing but its handle."""
        method = next(each for each in self._exports[interface] if each.kind == "method")
        assert method.resource is not None
        resource = self._loop.resources.lift_own(method.resource, 1)
        return self._measured(partial(bind_export(method, self._loop), resource))

    def _function(self, interface: str, name: str) -> Function:
        return next(each for each in self._exports[interface] if each.name == name)

    def _measured(self, call: Callable[[], object]) -> Callable[[int], float]:
        def measured(count: int) -> float:
            for _ in range(count + 1):
                self._script.done()
            call()
            return batch_time(call, count)

        return measured

    def close(self) -> None:
        """Frees the sandbox."""
        self._loop.guard.close()
        self._loop.close()
