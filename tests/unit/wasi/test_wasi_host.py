"""Which interface names are served, and what happens for the rest."""

from __future__ import annotations

import io
import time

import pytest

from hlwasm.errors import UnsupportedImport
from hlwasm.wasi import Wasi, WasiHost
from hlwasm.wasi.cli import Environment
from hlwasm.wasi.host import _INTERFACES

# What components of componentize-py 0.25 import.
COMPONENTIZE_PY = [
    *("cli/environment", "cli/exit", "cli/stdin", "cli/stdout", "cli/stderr"),
    *("cli/terminal-input", "cli/terminal-output", "cli/terminal-stdin"),
    *("cli/terminal-stdout", "cli/terminal-stderr", "clocks/monotonic-clock"),
    *("clocks/wall-clock", "filesystem/preopens", "filesystem/types", "io/error", "io/poll"),
    *("io/streams", "random/random", "random/insecure", "random/insecure-seed"),
    *("sockets/instance-network", "sockets/ip-name-lookup", "sockets/network", "sockets/tcp"),
    "sockets/udp",
]


@pytest.mark.parametrize("version", ["0.2.0", "0.2.1", "0.2.12", "0.2.99", "0.2.3+x", "0.2"])
def test_every_release_of_0_2_is_served(version: str) -> None:
    host = WasiHost()
    served = host.interface(f"wasi:cli/environment@{version}")
    assert isinstance(served, Environment)


@pytest.mark.parametrize(
    "name",
    [
        "wasi:cli/environment",
        "wasi:cli/environment@0.3.0",
        "wasi:cli/environment@0.20.0",
        "wasi:cli/environment@0.2.0-rc-2023-11-10",
        "wasi:cli/environment@1.0.2",
        "my-wasi:cli/environment@0.2.0",
        "demo:calc/host@0.2.0",
        "wasi:cli/environment@0.2.x",
        "wasi:cli@0.2.0",
        "environment",
        "",
    ],
)
def test_other_names_are_not_wasi_0_2(name: str) -> None:
    assert WasiHost().interface(name) is None


def test_one_object_per_interface() -> None:
    host = WasiHost()
    name = "wasi:cli/environment@0.2.6"
    assert host.interface(name) is host.interface(name)


@pytest.mark.parametrize("name", _INTERFACES)
def test_table_names_classes_that_exist(name: str) -> None:
    served = WasiHost().interface(f"{name}@0.2.12")
    assert type(served).__name__ == _INTERFACES[name][1]
    assert name in (type(served).__doc__ or "")


def test_a_function_that_is_not_there_raises_when_called() -> None:
    sockets = WasiHost().interface("wasi:sockets/instance-network@0.2.9")
    function = sockets.instance_network  # type: ignore[union-attr]
    with pytest.raises(UnsupportedImport, match="wasi:sockets/instance-network") as caught:
        function()
    assert caught.value.name == "wasi:sockets/instance-network@0.2.9#instance-network"


def test_functions_missing_from_a_known_interface() -> None:
    clock = WasiHost().interface("wasi:clocks/wall-clock@0.2.30")
    with pytest.raises(UnsupportedImport) as caught:
        clock.import_(1, 2)  # type: ignore[union-attr]
    assert caught.value.name == "wasi:clocks/wall-clock@0.2.30#import"


def test_constructors_and_static_functions_that_are_not_there() -> None:
    http = WasiHost().interface("wasi:http/types@0.2.4")
    with pytest.raises(UnsupportedImport) as caught:
        http.OutgoingRequest(object())  # type: ignore[union-attr]
    assert caught.value.name == "wasi:http/types@0.2.4#[constructor]outgoing-request"
    with pytest.raises(UnsupportedImport) as caught:
        http.Fields.from_list([])  # type: ignore[union-attr]
    assert caught.value.name == "wasi:http/types@0.2.4#[static]fields.from-list"


def test_private_and_dunder_attributes_are_not_imports() -> None:
    host = WasiHost()
    for interface in (
        host.interface("wasi:sockets/tcp@0.2.0"),
        host.interface("wasi:io/poll@0.2.0"),
    ):
        assert not hasattr(interface, "__wrapped__")
        assert not hasattr(interface, "_anything")
        assert not hasattr(interface.anything, "__wrapped__")  # type: ignore[union-attr]


def test_close_passes_output_on_and_leaves_files_open() -> None:
    out = io.BytesIO()
    buffered = io.BufferedWriter(out, 1 << 20)
    host = WasiHost(Wasi(stdout=buffered))
    host.stdout.write(b"kept")
    assert out.getvalue() == b""
    host.close()
    host.close()
    assert out.getvalue() == b"kept"
    assert not buffered.closed


def test_set_up_for_a_large_component_takes_under_a_millisecond() -> None:
    def set_up() -> float:
        start = time.perf_counter()
        host = WasiHost(Wasi())
        for name in COMPONENTIZE_PY:
            assert host.interface(f"wasi:{name}@0.2.9") is not None
        _ = host.stdin, host.stdout, host.stderr
        return time.perf_counter() - start

    assert min(set_up() for _ in range(20)) < 0.001
