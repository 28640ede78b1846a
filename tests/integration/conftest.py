"""Samples in micro-VMs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from components.build import BUILD

Load = Callable[[str], hlwasm.Component]
Start = Callable[..., hlwasm.Sandbox]
CancelAfter = Callable[[hlwasm.Sandbox, float], AbstractContextManager[None]]


@pytest.fixture(scope="session")
def load(component_path: Callable[[str], Path]) -> Load:
    """Loads a sample; compiled once, beside the samples and not in the user's cache."""
    cache = hlwasm.Cache(BUILD / "artifacts")
    loaded: dict[str, hlwasm.Component] = {}

    def load(name: str) -> hlwasm.Component:
        if name not in loaded:
            loaded[name] = hlwasm.load(component_path(name), cache=cache)
        return loaded[name]

    return load


@pytest.fixture
def start(load: Load) -> Iterator[Start]:
    """Instantiates a sample, or WAT text given as bytes; closed when the test ends."""
    with ExitStack() as sandboxes:

        def start(sample: str | bytes, imports: Any = None, **options: Any) -> hlwasm.Sandbox:
            if isinstance(sample, bytes):
                component = hlwasm.load(sample, cache=False)
            else:
                component = load(sample)
            return sandboxes.enter_context(component.instantiate(imports, **options))

        yield start


@pytest.fixture
def cancel_after() -> CancelAfter:
    """Cancels a sandbox's call after some seconds, unless the block ends before that."""

    @contextmanager
    def guarded(sandbox: hlwasm.Sandbox, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, sandbox.cancel)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()

    return guarded
