"""Small descriptions, as the bridge generator writes them."""

from __future__ import annotations

from typing import Any

from hlwasm.wit.model import Description


def function(
    index: int,
    name: str,
    interface: str | None = None,
    params: int = 0,
    kind: str = "function",
    resource: int | None = None,
) -> dict[str, Any]:
    """A function of u32 parameters without a result."""
    return {
        "index": index,
        "interface": interface,
        "name": name,
        "kind": kind,
        "resource": resource,
        "core_name": None,
        "params": [{"name": f"p{n}", "type": "u32"} for n in range(params)],
        "result": None,
        "params_size": 4 * params,
        "params_align": 4,
        "result_offset": 64 + 4 * params,
        "end_offset": 64 + 4 * params,
        "docs": None,
    }


def interface(
    name: str, direction: str = "import", types: dict[str, int] | None = None
) -> dict[str, Any]:
    return {"name": name, "direction": direction, "types": types or {}, "docs": None}


def description(**parts: Any) -> Description:
    """A world with these parts and nothing else."""
    empty: dict[str, Any] = {
        "format": 1,
        "source_kind": "component",
        "wit": "",
        "world": "root:component/root",
        "transfer_pages": {"import": 1, "export": 1},
        "memories": [],
        "call_count": 0,
        "types": [],
        "interfaces": [],
        "world_types": {},
        "imports": [],
        "exports": [],
        "resource_drops": [],
        "resource_destructors": [],
        "skipped": [],
    }
    return Description.from_json({**empty, **parts})
