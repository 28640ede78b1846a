"""The shared library: loading it, and its functions that need no sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from hlwasm.errors import InvalidWasm, InvalidWit, NativeError, UnsupportedItem
from hlwasm.frozen import Frozen
from hlwasm.native.status import last_error, raise_status

LIBRARY = "libnative_vmm.so"
LIBRARY_PATH = f"{__file__.rpartition('/')[0]}/{LIBRARY}"

# cffi's objects have no static types.
Ffi = Any
Lib = Any

#: Path and text of each file of a package, or path and contents of one in binary form.
WitPackage = list[tuple[str, str]] | tuple[str, bytes]


@lru_cache(maxsize=1)
def load_library() -> tuple[Ffi, Lib]:
    """Returns cffi's ``ffi`` and the opened library.

    Raises:
        NativeError: the package was installed without its native half.
    """
    try:
        from hlwasm.native._bindings import ffi
    except ImportError as error:
        raise NativeError(
            "the native half of hlwasm is missing; reinstall the package "
            "(in a source tree: python tools/build_native.py)"
        ) from error
    try:
        return ffi, ffi.dlopen(LIBRARY_PATH)
    except OSError as error:
        raise NativeError(f"cannot load {LIBRARY}: {error}") from error


def native_version() -> str:
    """Version of native_vmm, with the versions built into it."""
    ffi, lib = load_library()
    return str(ffi.string(lib.hlw_version()).decode())


def bridge(source: bytes, transfer_bytes: int) -> tuple[bytes, str]:
    """Composes a component with its bridges.

    Args:
        source: a component, a core module or WAT text.
        transfer_bytes: usable bytes of each transfer memory.

    Returns:
        The composed component, and its description in JSON.

    Raises:
        InvalidWasm: the input is malformed.
        UnsupportedItem: the input has an item that cannot be bridged.
    """
    ffi, lib = load_library()
    component, description = ffi.new("hlw_buffer *"), ffi.new("hlw_buffer *")
    options = json.dumps({"transfer_bytes": transfer_bytes}).encode()
    status = lib.hlw_bridge(ffi.from_buffer(source), len(source), options, component, description)
    if status == lib.HLW_ERROR_INPUT:
        raise InvalidWasm(last_error(ffi, lib))
    if status == lib.HLW_ERROR_UNSUPPORTED:
        raise UnsupportedItem(*_unsupported(ffi, lib))
    if status < 0:
        raise_status(ffi, lib, status)
    try:
        composed = bytes(ffi.buffer(component.data, component.length))
        text = bytes(ffi.buffer(description.data, description.length)).decode()
    finally:
        lib.hlw_buffer_free(component[0])
        lib.hlw_buffer_free(description[0])
    return composed, text


def describe_wit(
    name: str, main: WitPackage, dependencies: Iterable[WitPackage], world: str | None
) -> str:
    """Describes a component of a world that is given as WIT.

    Args:
        name: what to call the sources where no single file is to blame.
        main: the package.
        dependencies: other packages.
        world: its name; None where there is only one.

    Returns:
        The description in JSON.

    Raises:
        InvalidWit: it is not WIT, or its names do not resolve.
        UnsupportedItem: the world has an item that cannot be bridged.
    """
    ffi, lib = load_library()

    def package(given: WitPackage) -> Any:
        if isinstance(given, tuple):
            return {"path": given[0], "wasm": given[1].hex()}
        return [{"path": path, "text": text} for path, text in given]

    packages = [package(each) for each in dependencies]
    request = {"main": package(main), "dependencies": packages, "world": world}
    # Lone surrogates, as in a path that is not UTF-8, have no place in JSON.
    sources = json.dumps(request, ensure_ascii=False).encode("utf-8", "replace")
    description = ffi.new("hlw_buffer *")
    status = lib.hlw_describe_wit(ffi.from_buffer(sources), len(sources), description)
    _check_wit(ffi, lib, status, name)
    try:
        return bytes(ffi.buffer(description.data, description.length)).decode()
    finally:
        lib.hlw_buffer_free(description[0])


def print_wit(name: str, package: bytes) -> str:
    """The text of a WIT package in binary form.

    Args:
        name: what messages call it.
        package: what is in its file.

    Raises:
        InvalidWit: it is no such package.
        UnsupportedItem: it has what WIT cannot express.
    """
    ffi, lib = load_library()
    text = ffi.new("hlw_buffer *")
    status = lib.hlw_print_wit(ffi.from_buffer(package), len(package), text)
    _check_wit(ffi, lib, status, name)
    try:
        return bytes(ffi.buffer(text.data, text.length)).decode()
    finally:
        lib.hlw_buffer_free(text[0])


def is_wit_package(error: UnsupportedItem) -> bool:
    """Whether a component was expected, and a WIT package in binary form given."""
    ffi, lib = load_library()
    return error.item == bytes(ffi.string(lib.hlw_wit_package_item())).decode()


def find_constants(source: bytes) -> dict[str, list[Any]]:
    """What the code of a component, core module or WAT text may compare its arguments with.

    Returns:
        ``compared`` and ``integers``, signed ones of their width; ``floats``; ``texts``. There
        are no more than 2,000 of each.

    Raises:
        InvalidWasm: it cannot be read.
    """
    ffi, lib = load_library()
    found = ffi.new("hlw_buffer *")
    status = lib.hlw_constants(ffi.from_buffer(source), len(source), found)
    if status == lib.HLW_ERROR_INPUT:
        raise InvalidWasm(last_error(ffi, lib))
    if status < 0:
        raise_status(ffi, lib, status)
    try:
        constants: dict[str, list[Any]] = json.loads(bytes(ffi.buffer(found.data, found.length)))
    finally:
        lib.hlw_buffer_free(found[0])
    return constants


def _check_wit(ffi: Ffi, lib: Lib, status: int, name: str) -> None:
    """Raises what a negative status of an entry that reads WIT means."""
    if status == lib.HLW_ERROR_INPUT:
        raise _invalid_wit(name, json.loads(last_error(ffi, lib)))
    if status == lib.HLW_ERROR_UNSUPPORTED:
        message, item = _unsupported(ffi, lib)
        raise UnsupportedItem(f"{name}: {item}: {message}", item)
    if status < 0:
        raise_status(ffi, lib, status)


def _invalid_wit(name: str, report: dict[str, Any]) -> InvalidWit:
    from hlwasm.wit.excerpt import excerpt

    if "line" not in report:
        return InvalidWit(report["message"], report.get("path", name))
    line, column = report["line"], report["column"]
    shown = excerpt(report["source"], column, report["width"])
    return InvalidWit(report["message"], report["path"], line, column, shown)


def _unsupported(ffi: Ffi, lib: Lib) -> tuple[str, str]:
    """Message and item of the last failure."""
    item, _, message = last_error(ffi, lib).partition("\x1f")
    return message or item, item


class HypervisorInfo(Frozen):
    """What /dev/kvm says of itself.

    Attributes:
        device: errno of opening /dev/kvm, 0 if it opened.
        api_version: 12 on every Linux of this century.
        vcpu_mmap_bytes: size of a vCPU's shared area.
        memslots_max: most memslots of a VM.
        sync_regs: registers come with an exit, without a system call.
        readonly_mem: read-only memslots exist.
        immediate_exit: a vCPU can be told to return at once.
    """

    device: int
    api_version: int
    vcpu_mmap_bytes: int
    memslots_max: int
    sync_regs: bool
    readonly_mem: bool
    immediate_exit: bool


def query_hypervisor() -> HypervisorInfo:
    """Asks /dev/kvm; does not raise where it is missing (see ``device``)."""
    ffi, lib = load_library()
    info = ffi.new("hlw_hypervisor_info *")
    status = lib.hlw_hypervisor_query(info)
    if status < 0 and status != lib.HLW_ERROR_NO_HYPERVISOR:
        raise_status(ffi, lib, status)
    return HypervisorInfo(
        device=info.device,
        api_version=info.api_version,
        vcpu_mmap_bytes=info.vcpu_mmap_bytes,
        memslots_max=info.memslots_max,
        sync_regs=bool(info.sync_regs),
        readonly_mem=bool(info.readonly_mem),
        immediate_exit=bool(info.immediate_exit),
    )
