"""What this machine can do, and the sample components.

A test that needs a hypervisor or a toolchain is skipped where there is none, and fails
instead where ``HLWASM_REQUIRE_KVM=1`` or ``HLWASM_REQUIRE_TOOLCHAINS=1`` is set: green
must never mean that nothing ran.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from components.build import build
from components.toolchain import tools

# Runs of pytest inside tests, for the plugin that hlwasm is to pytest.
pytest_plugins = ["pytester"]

KVM = Path("/dev/kvm")

# A shell starts what it runs in the background with SIGINT ignored, and Python leaves it so;
# tests of Ctrl-C, and the processes that they start, need it.
signal.signal(signal.SIGINT, signal.default_int_handler)


def hypervisor_state() -> str:
    """``usable``, ``missing``, ``no permission``, or the kernel's message."""
    try:
        os.close(os.open(KVM, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return "missing"
    except PermissionError:
        return "no permission"
    except OSError as error:
        return str(error)
    return "usable"


def without(requirement: str, reason: str) -> NoReturn:
    """Skips the running test, or fails it where the environment requires that it runs."""
    if os.environ.get(requirement) == "1":
        raise pytest.fail.Exception(f"{reason}, and {requirement}=1", pytrace=False) from None
    raise pytest.skip.Exception(reason) from None


def pytest_report_header() -> list[str]:
    return [f"{KVM}: {hypervisor_state()}", f"toolchains: {tools.summary()}"]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("hypervisor") and (state := hypervisor_state()) != "usable":
        without("HLWASM_REQUIRE_KVM", f"{KVM}: {state}")
    for marker in item.iter_markers("toolchain"):
        for tool in marker.args:
            try:
                tools.version(tool)
            except tools.ToolMissing as error:
                without("HLWASM_REQUIRE_TOOLCHAINS", str(error))


@pytest.fixture(scope="session")
def component_path() -> Callable[[str], Path]:
    """Builds a sample of ``components/`` if need be, and says where it is.

    Safe with several processes: each sample is built under a lock.
    """

    def path(name: str) -> Path:
        try:
            return build(name)
        except tools.ToolMissing as error:
            without("HLWASM_REQUIRE_TOOLCHAINS", f"sample {name}: {error}")

    return path


@pytest.fixture(scope="session")
def cpython_wasm(component_path: Callable[[str], Path]) -> Path:
    """CPython 3.12 as a program for WASI preview 1, its standard library inside."""
    return component_path("cpython")
