"""Runs scripts by wasmtime-py; the other end of :mod:`.wasmtime_process`.

The guest runs in this process, without a micro-VM, and can end it. Reads a line of JSON for each
request, writes one for each step and one at the end of the script.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import wasmtime
from wasmtime.component import (
    Component,
    Instance,
    Linker,
    LinkerInstance,
    ResourceAny,
    ResourceHost,
    ResourceType,
)

from hlwasm.testing.differential.wasmtime_values import NotComparable, WasmtimeValues
from hlwasm.testing.differential.wire import from_json, to_json
from hlwasm.testing.fuzzing.runner import plainest
from hlwasm.testing.scripts.data import Data, Handle
from hlwasm.testing.scripts.steps import fake_handle, is_fake
from hlwasm.wit.model import Description, Function


class Child:
    """A component, compiled once; each script gets an instance of its own."""

    def __init__(self, wasm: bytes, description: Description, memory: int) -> None:
        self._description = description
        self._values = WasmtimeValues(description)
        self._memory = memory
        self._engine = wasmtime.Engine()
        self._component = Component(self._engine, wasm)
        self._answers: defaultdict[int, deque[Data]] = defaultdict(deque)
        self._calls: list[Any] = []
        self._live: dict[Handle, ResourceAny] = {}

    def run(self, request: Any, tell: Callable[[Any], None]) -> None:
        """Runs a script, and tells how each step ended."""
        self._answers.clear()
        for index, answer in request["answers"]:
            self._answers[index].append(from_json(answer))
        self._live.clear()
        store = wasmtime.Store(self._engine)
        store.set_wasi(wasmtime.WasiConfig())
        store.set_limits(memory_size=self._memory)
        instance = self._linker().instantiate(store, self._component)
        for step in request["steps"]:
            self._calls = []
            seen = self._step(store, instance, step)
            tell({**seen, "calls": self._calls})
            if seen["end"] in ("failed", "unknown"):
                break

    def _step(self, store: wasmtime.Store, instance: Instance, step: Any) -> dict[str, Any]:
        if any(Handle(name) not in self._live for name in step["needs"]):
            return {"end": "skipped"}
        try:
            if step["function"] is None:
                self._live.pop(Handle(step["needs"][0])).drop(store)
                return {"end": "returned", "value": None}
            return {"end": "returned", "value": to_json(self._call(store, instance, step))}
        except wasmtime.WasmtimeError as error:
            return {"end": "failed", "message": _in_words(error)}
        except Exception as error:
            # Of wasmtime-py's conversions, or of this module's.
            return {"end": "unknown", "message": _in_words(error)}

    def _call(self, store: wasmtime.Store, instance: Instance, step: Any) -> Data:
        function = self._description.exports[step["function"]]
        parent = None
        if function.interface is not None:
            parent = instance.get_export_index(store, function.interface)
        index = instance.get_export_index(store, function.name, parent)
        call = None if index is None else instance.get_func(store, index)
        if call is None:
            raise NotComparable(f"wasmtime-py finds no export {function.name}")
        arguments = [
            self._values.to_wasmtime(param.type, from_json(data), self._resolve)
            for param, data in zip(function.params, step["arguments"], strict=True)
        ]
        value = call(store, *arguments)
        names = [(Handle(name), resource) for name, resource in step["gives"]]

        def name_of(resource: int, obtained: ResourceAny) -> Handle:
            for at, (handle, kind) in enumerate(names):
                if kind == resource:
                    del names[at]
                    self._live[handle] = obtained
                    return handle
            return fake_handle(self._description, resource)

        return self._values.from_wasmtime(function.result, value, name_of)

    def _linker(self) -> Linker:
        linker = Linker(self._engine)
        linker.add_wasip2()
        interfaces: dict[str | None, list[Function]] = {}
        for function in self._description.imports:
            if not (function.interface or "").startswith("wasi:"):
                interfaces.setdefault(function.interface, []).append(function)
        with linker.root() as root:
            self._add(root, interfaces.pop(None, []))
            for name, functions in interfaces.items():
                assert name is not None
                with root.add_instance(name) as members:
                    self._add(members, functions)
        return linker

    def _add(self, members: LinkerInstance, functions: Sequence[Function]) -> None:
        """Adds the functions of an interface, and the resources that they belong to."""
        for resource in {each.resource for each in functions if each.resource is not None}:
            name = self._description.types[resource].name or "resource"
            members.add_resource(name, ResourceType.host(resource), lambda store, rep: None)
        for function in functions:
            members.add_func(function.name, self._host_function(function))

    def _host_function(self, function: Function) -> Callable[..., Any]:
        def serve(store: Any, *arguments: Any) -> Any:
            given: list[ResourceAny] = []

            def unnamed(resource: int, obtained: ResourceAny) -> Handle:
                given.append(obtained)
                return fake_handle(self._description, resource)

            data = [
                to_json(self._values.from_wasmtime(param.type, value, unnamed))
                for param, value in zip(function.params, arguments, strict=True)
            ]
            # What is lent must be given back, and nobody keeps what is given.
            for each in given:
                each.drop(store)
            self._calls.append([function.index, data])
            if function.result is None:
                return None
            left = self._answers[function.index]
            answer = left.popleft() if left else plainest(function)
            return self._values.to_wasmtime(function.result, answer, self._resolve)

        return serve

    def _resolve(self, resource: int, handle: Handle) -> ResourceAny | ResourceHost:
        if is_fake(handle):
            # What it is does not matter: nothing looks at it but the guest, which cannot.
            return ResourceHost.own(1, resource)
        return self._live[handle]


def _in_words(error: Exception) -> str:
    """One line; wasmtime's own begins with a backtrace and ends with the cause."""
    lines = str(error).strip().splitlines() or [""]
    text = lines[-1].strip()[:300]
    known = isinstance(error, (NotComparable, wasmtime.WasmtimeError))
    return text if known else f"{type(error).__name__}: {text}"


def main(requests: TextIO, answers: TextIO) -> None:
    """Serves requests until there are no more."""

    def tell(message: Any) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    setup = json.loads(requests.readline())
    try:
        description = Description.from_json(setup["description"])
        child = Child(bytes.fromhex(setup["wasm"]), description, setup["memory"])
    except wasmtime.WasmtimeError as error:
        tell({"error": _in_words(error)})
        return
    tell({"ready": True})
    for line in requests:
        try:
            child.run(json.loads(line), tell)
            tell({"done": True})
        except Exception as error:
            tell({"done": True, "error": _in_words(error)})


if __name__ == "__main__":
    main(sys.stdin, sys.stdout)
