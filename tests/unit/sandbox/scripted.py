"""A sandbox whose guest is a script: the call loop's tests need no hypervisor."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from hlwasm.native import _abi
from hlwasm.native.handles import Configuration, NativeSandbox
from hlwasm.sandbox.calls import CallLoop
from hlwasm.wit.model import Description

WORD = 8
TRANSFER = _abi.TRANSFER_WASM_PAGE_BYTES
REQUEST, EINTR, EFAULT, SHUTDOWN, UNKNOWN = range(5)


class Script:
    """Writes what the guest will do, step by step; every step ends one run."""

    def __init__(self, native: NativeSandbox) -> None:
        self._native = native
        self._commands = 0
        self._requests = 0

    def write(self, address: int, data: bytes) -> None:
        """Guest memory that changes before the next step ends."""
        buffer = self._native.ffi.from_buffer(data)
        status = self._native.lib.hlw_script_write(self._native.pointer, address, buffer, len(data))
        assert status == 0

    def step(self, kind: int, code: int = 0) -> None:
        assert self._native.lib.hlw_script_step(self._native.pointer, kind, code) == 0

    def _words(self, words: Mapping[int, int]) -> None:
        for index, value in words.items():
            self.write(_abi.MAILBOX + WORD * index, struct.pack("<Q", value))

    def request(self, code: int, *arguments: int) -> None:
        """The guest asks for something."""
        self._requests += 1
        words = {_abi.REQUEST_SEQUENCE: self._requests}
        words |= {_abi.REQUEST_ARGUMENTS + n: value for n, value in enumerate(arguments)}
        self._words(words)
        self.step(REQUEST, code)

    def done(self, status: int = 0, value: int = 0, text: str = "") -> None:
        """The guest ends the command."""
        self._commands += 1
        encoded = text.encode()
        if encoded:
            self.write(_abi.TEXT, encoded)
        self._words(
            {
                _abi.DONE_SEQUENCE: self._commands,
                _abi.DONE_STATUS: status,
                _abi.DONE_VALUES: value,
                _abi.DONE_TEXT_BYTES: len(encoded),
            }
        )
        self.step(REQUEST, _abi.EXIT_READY)

    def host_call(self, function: int, pointer: int) -> None:
        self.request(_abi.EXIT_HOST_CALL, function, pointer)


@contextmanager
def scripted_loop(world: Description) -> Iterator[tuple[NativeSandbox, Script, CallLoop]]:
    """A scripted sandbox, its script, and the loop that calls it; closed at the end."""
    native = scripted_sandbox()
    loop = CallLoop(native, world, {})
    yield native, Script(native), loop
    loop.guard.close()
    loop.close()


def scripted_sandbox() -> NativeSandbox:
    """A sandbox with two small transfer windows and the scripted driver."""
    return NativeSandbox(
        Configuration(
            window_bytes=[TRANSFER, TRANSFER],
            ram_bytes=_abi.RAM_MIN_BYTES,
            artifact_fd=-1,
            artifact_bytes=0,
            scripted=True,
        )
    )
