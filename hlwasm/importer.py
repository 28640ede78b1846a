"""An import hook: components as Python modules.

::

    import hlwasm.importer

    hlwasm.importer.install()
    import calculator  # calculator.wasm on sys.path

    calculator.ops.add(2, 3)

The module has what ``sandbox.exports`` has. Nothing is loaded before the first use of an
export; then the component is instantiated once, for the module's life. As any sandbox it is
for one thread at a time.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

import hlwasm

#: What files are found, in this order.
SUFFIXES = (".wasm", ".cwasm")

Start = Callable[[hlwasm.Component], hlwasm.Sandbox]


def _start(component: hlwasm.Component) -> hlwasm.Sandbox:
    return component.instantiate()


def install(start: Start = _start) -> ComponentFinder:
    """Lets ``import`` find components, where it finds nothing else of that name.

    Args:
        start: instantiates a component that was imported. By default it gets no imports, and
            of WASI what needs no grants::

                install(lambda component: component.instantiate({"log": print}))

    Returns:
        What was put into ``sys.meta_path``; its ``uninstall`` takes it out again.
    """
    finder = ComponentFinder(start)
    sys.meta_path.append(finder)
    return finder


class ComponentFinder:
    """Finds ``name.wasm`` and ``name.cwasm`` in the folders of ``sys.path``, or of a package."""

    def __init__(self, start: Start) -> None:
        self._start = start

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See :meth:`importlib.abc.MetaPathFinder.find_spec`."""
        stem = name.rpartition(".")[2]
        for folder in sys.path if path is None else path:
            for suffix in SUFFIXES:
                file = os.path.join(folder or os.curdir, stem + suffix)  # noqa: PTH118
                if os.path.isfile(file):  # noqa: PTH113
                    loader = _Loader(file, self._start)
                    return spec_from_loader(name, loader, origin=file)
        return None

    def uninstall(self) -> None:
        """Ends finding; modules that were imported stay as they are. Idempotent."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)


class ComponentModule(ModuleType):
    """A component that was imported.

    Attributes:
        __component__: the :class:`hlwasm.Component`, loaded at first use.
        __sandbox__: the sandbox that its functions run in, made at first use.
    """

    def __getattr__(self, name: str) -> Any:
        # The import system and interactive shells ask for names that are not there, all with an
        # underscore in front; no name of WIT has one.
        if name in ("__component__", "__sandbox__"):
            loader = self.__loader__
            assert isinstance(loader, _Loader)
            value = loader.component() if name == "__component__" else loader.sandbox()
        elif name.startswith("_"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        else:
            value = getattr(self.__sandbox__.exports, name)
        setattr(self, name, value)
        return value

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.__sandbox__.exports]


class _Loader(Loader):
    """Makes the module of one file."""

    def __init__(self, file: str, start: Start) -> None:
        self._file = file
        self._start = start
        self._lock = threading.RLock()
        self._component: hlwasm.Component | None = None
        self._sandbox: hlwasm.Sandbox | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """See :meth:`importlib.abc.Loader.create_module`."""
        return ComponentModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing runs at the import."""
        module.__file__ = self._file

    def component(self) -> hlwasm.Component:
        """The component, loaded once."""
        with self._lock:
            if self._component is None:
                self._component = hlwasm.load(self._file)
            return self._component

    def sandbox(self) -> hlwasm.Sandbox:
        """The sandbox, made once."""
        with self._lock:
            if self._sandbox is None:
                self._sandbox = self._start(self.component())
            return self._sandbox
