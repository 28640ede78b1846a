"""Worlds built by hand, and a guest that only echoes: for tests of the codecs.

``EchoContext`` stands for a sandbox. Its "guest" is what a test says: by default a call
copies nothing, and the test looks at the memory, or writes a result into it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hlwasm.codec.layout import Layout, align_up
from hlwasm.errors import GuestDataError, WitTypeError
from hlwasm.wit.model import Description, Function, NumberLists

INTERFACE = "test:codec/ops@1.0.0"


class World:
    """Collects types and functions; ``description`` computes the bridge's numbers."""

    def __init__(self, export_pages: int = 1, import_pages: int = 1) -> None:
        self.types: list[dict[str, Any]] = []
        self.functions: list[tuple[str, list[tuple[str, Any]], Any, dict[str, Any]]] = []
        self.pages = {"import": import_pages, "export": export_pages}
        self.named: dict[str, int] = {}

    def type(self, kind: str, **members: Any) -> int:
        self.types.append({"kind": kind, "interface": INTERFACE, "docs": None, **members})
        index = len(self.types) - 1
        if members.get("name"):
            self.named[members["name"]] = index
        return index

    def record(self, name: str, /, **fields: Any) -> int:
        return self.type(
            "record",
            name=name,
            fields=[
                {"name": key.replace("_", "-").strip("-"), "type": value, "docs": None}
                for key, value in fields.items()
            ],
        )

    def list(self, element: Any) -> int:
        return self.type("list", type=element)

    def option(self, some: Any) -> int:
        return self.type("option", type=some)

    def tuple(self, *types: Any) -> int:
        return self.type("tuple", types=list(types))

    def result(self, ok: Any = None, err: Any = None) -> int:
        return self.type("result", ok=ok, err=err)

    def variant(self, name: str, cases: dict[str, Any]) -> int:
        return self.type(
            "variant",
            name=name,
            cases=[{"name": key, "type": value, "docs": None} for key, value in cases.items()],
        )

    def enum(self, name: str, *cases: str) -> int:
        return self.type("enum", name=name, cases=[{"name": c, "docs": None} for c in cases])

    def flags(self, name: str, *flags: str) -> int:
        return self.type("flags", name=name, flags=[{"name": f, "docs": None} for f in flags])

    def resource(self, name: str, side: str = "host") -> int:
        return self.type("resource", name=name, side=side)

    def own(self, resource: int) -> int:
        return self.type("own", resource=resource)

    def borrow(self, resource: int) -> int:
        return self.type("borrow", resource=resource)

    def function(self, name: str, params: dict[str, Any], result: Any = None, **more: Any) -> int:
        """Adds a function to imports and exports alike; returns its index."""
        self.functions.append((name, list(params.items()), result, more))
        return len(self.functions) - 1

    def json(self) -> dict[str, Any]:
        base = {
            "format": 1,
            "source_kind": "component",
            "wit": "",
            "world": "test:codec/world",
            "transfer_pages": self.pages,
            "memories": [],
            "call_count": len(self.functions),
            "types": self.types,
            "interfaces": [
                {"name": INTERFACE, "direction": side, "types": self.named, "docs": None}
                for side in ("import", "export")
            ],
            "world_types": {},
            "resource_drops": [],
            "resource_destructors": [],
            "skipped": [],
        }
        layout = Layout(Description.from_json({**base, "imports": [], "exports": []}))
        functions = []
        for index, (name, params, result, more) in enumerate(self.functions):
            shape = layout.record([type_ for _, type_ in params]).shape
            end = 64 + shape.size
            result_offset = 0
            if result is not None:
                result_shape = layout.shape(result)
                result_offset = align_up(end, result_shape.align)
                end = result_offset + result_shape.size
            functions.append(
                {
                    "index": index,
                    "interface": INTERFACE,
                    "name": name,
                    "kind": "function",
                    "resource": None,
                    "core_name": None,
                    "params": [{"name": key, "type": type_} for key, type_ in params],
                    "result": result,
                    "params_size": shape.size,
                    "params_align": shape.align,
                    "result_offset": result_offset,
                    "end_offset": end,
                    "docs": None,
                    **more,
                }
            )
        return {**base, "imports": functions, "exports": functions}

    def description(self, number_lists: NumberLists = "list") -> Description:
        return Description.from_json(self.json(), number_lists)


class Resources:
    """Handles that are positions in a list; remembers what was converted."""

    def __init__(self) -> None:
        self.objects: list[Any] = []
        self.given_away: list[Any] = []
        self.put: list[Any] = []

    def lower_own(self, type_index: int, value: Any) -> int:
        if isinstance(value, (int, str)):
            raise WitTypeError(f"expected a resource, got {value!r}")
        if value in self.given_away:
            raise WitTypeError("it was given away")
        self.given_away.append(value)
        return self._handle(value)

    def take_back(self, type_index: int, value: Any, handle: int) -> None:
        assert self.objects[handle] is value
        self.given_away.remove(value)

    def lower_borrow(self, type_index: int, value: Any) -> int:
        if isinstance(value, (int, str)):
            raise WitTypeError(f"expected a resource, got {value!r}")
        return self._handle(value)

    def _handle(self, value: Any) -> int:
        self.objects.append(value)
        return len(self.objects) - 1

    def lift_own(self, type_index: int, handle: int) -> Any:
        if handle >= len(self.objects):
            raise GuestDataError(f"unknown handle {handle}")
        return self.objects[handle]

    lift_borrow = lift_own

    def put_back(self, type_index: int, value: Any, handle: int) -> None:
        assert self.objects[handle] is value
        self.put.append(value)


class EchoLoan:
    """Views that nobody asks back."""

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory.toreadonly()
        self.lent: list[memoryview] = []

    def view(self, part: memoryview, format: str) -> memoryview:
        self.lent.append(part.cast(format))  # type: ignore[call-overload]
        return self.lent[-1]


class EchoContext:
    """A sandbox without a machine: two memories and a guest made of a Python function."""

    def __init__(self, size: int = 65536) -> None:
        self.export_memory = memoryview(bytearray(size))
        self.import_memory = memoryview(bytearray(size))
        self.import_memory[60:64] = (64).to_bytes(4, "little")
        self.resources = Resources()
        self.guest: Callable[[int], None] = lambda index: None
        self.depth = 0
        self.poisoned_by: GuestDataError | None = None
        self.count_bytes: Callable[[int], None] | None = None

    def begin(self) -> None:
        assert self.depth == 0
        self.depth += 1

    def invoke(self, index: int) -> None:
        self.guest(index)

    def lend(self) -> EchoLoan:
        assert self.depth == 1
        return EchoLoan(self.export_memory)

    def poison(self, error: GuestDataError) -> None:
        assert self.depth == 1
        self.poisoned_by = error

    def end(self) -> None:
        self.depth -= 1


def echo(function: Function, context: EchoContext) -> None:
    """Makes the guest return its only parameter: copies the record, payload stays."""
    size = function.params_size
    offset = function.result_offset

    def guest(index: int) -> None:
        context.export_memory[offset : offset + size] = context.export_memory[64 : 64 + size]

    context.guest = guest
