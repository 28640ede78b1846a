"""The one place where a native status becomes a Python exception."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from hlwasm.errors import HlwasmError, NativeError, NoHypervisorFound

DEVICE = "/dev/kvm"


def last_error(ffi: Any, lib: Any) -> str:
    """The message of this thread's last failure."""
    size = 512
    while True:
        buffer = ffi.new("char[]", size)
        needed = lib.hlw_last_error(buffer, size)
        if needed < size:
            return bytes(ffi.string(buffer)).decode("utf-8", "replace")
        size = needed + 1


def hypervisor_hints() -> tuple[str, ...]:
    """What to do where /dev/kvm does not work."""
    if not os.access(DEVICE, os.F_OK):
        return (
            "enable virtualisation in the firmware, or nested virtualisation for this VM",
            "load the kernel module: modprobe kvm_intel or modprobe kvm_amd",
            "in a container: pass the device, for example docker run --device /dev/kvm",
        )
    return (
        "join the group that owns the device: sudo usermod -aG kvm $USER, then log in again",
        "in a container: pass the device and its permission, --device /dev/kvm --group-add kvm",
        "run `hlwasm doctor` for details",
    )


def exception_of(ffi: Any, lib: Any, status: int) -> HlwasmError:
    """The exception for a negative status."""
    message = last_error(ffi, lib) or f"status {status}"
    if status == lib.HLW_ERROR_NO_HYPERVISOR:
        return NoHypervisorFound(f"no usable hypervisor: {message}", hypervisor_hints())
    return NativeError(message, status)


def os_error(ffi: Any, lib: Any) -> OSError:
    """This thread's last failure, which was one of the operating system; with its errno."""
    message = last_error(ffi, lib)
    text, found, number = message.removesuffix(")").rpartition(" (os error ")
    if found and number.isdecimal():
        return OSError(int(number), text)
    return OSError(message)


def raise_status(ffi: Any, lib: Any, status: int) -> NoReturn:
    """Raises what a negative status means."""
    raise exception_of(ffi, lib, status)
