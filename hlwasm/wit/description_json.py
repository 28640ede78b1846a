"""Reading a description: the JSON text that the bridge generator wrote.

An artifact file may come from anybody, so everything is checked: numbers and names go on
into generated source and into native calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from hlwasm.errors import ArtifactError
from hlwasm.wit.model import (
    PRIMITIVES,
    AnyType,
    Borrow,
    Case,
    Description,
    Enum,
    Field,
    Flags,
    Function,
    Interface,
    Label,
    List,
    MemoryPlan,
    NumberLists,
    Option,
    Own,
    Param,
    Record,
    Resource,
    ResourceDestructor,
    ResourceDrop,
    Result,
    Skipped,
    Tuple,
    TypeRef,
    Variant,
)

FORMAT = 1
# A transfer memory of 4 GiB, in wasm pages.
_PAGES_MAX = 1 << 16

T = TypeVar("T")


def read_description(
    source: str | bytes | Mapping[str, Any], number_lists: NumberLists
) -> Description:
    """See :meth:`Description.from_json`."""
    raw: Any = source
    if isinstance(source, (str, bytes)):
        try:
            raw = json.loads(source)
        except (ValueError, RecursionError) as error:
            raise ArtifactError(f"the component's description is not JSON: {error}") from error
    if not isinstance(raw, Mapping):
        raise ArtifactError("the component's description is not a JSON object")
    if raw.get("format") != FORMAT:
        raise ArtifactError(
            f"the component's description has format {raw.get('format')!r}; "
            f"this version of hlwasm reads format {FORMAT}"
        )
    return _damaged_if_it_fails(lambda: _description(raw, number_lists), "the world")


class TypeTable(Sequence["AnyType"]):
    """The types of a description, each built when it is first asked for."""

    __slots__ = ("_built", "_raw")

    def __init__(self, raw: list[Any]) -> None:
        self._raw = raw
        self._built: list[AnyType | None] = [None] * len(raw)

    @overload
    def __getitem__(self, index: int) -> AnyType: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[AnyType]: ...
    def __getitem__(self, index: int | slice) -> AnyType | Sequence[AnyType]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self._raw)))]
        if index < 0 or index >= len(self._raw):
            raise IndexError(f"the description has no type {index}")
        built = self._built[index]
        if built is None:
            raw = self._raw
            built = _damaged_if_it_fails(lambda: _type(index, raw[index], raw), f"type {index}")
            self._built[index] = built
        return built

    def __len__(self) -> int:
        return len(self._raw)

    def __iter__(self) -> Iterator[AnyType]:
        return (self[index] for index in range(len(self._raw)))


def _damaged_if_it_fails(build: Callable[[], T], what: str) -> T:
    try:
        return build()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ArtifactError(
            f"the component's description is damaged at {what}: {type(error).__name__}: {error}"
        ) from error


def _description(raw: Mapping[str, Any], number_lists: NumberLists) -> Description:
    types = _list(raw["types"])
    count = len(types)
    return Description(
        source_kind=_one_of(raw["source_kind"], ("component", "command", "reactor", "module")),
        wit=_text(raw.get("wit", "")),
        world=_name(raw["world"]),
        import_pages=_number(raw["transfer_pages"]["import"], _PAGES_MAX),
        export_pages=_number(raw["transfer_pages"]["export"], _PAGES_MAX),
        memories=tuple(
            MemoryPlan(_number(each["minimum_pages"]), _optional_number(each["maximum_pages"]))
            for each in _list(raw.get("memories", []))
        ),
        call_count=_number(raw["call_count"]),
        types=TypeTable(types),
        interfaces=tuple(
            Interface(
                _name(each["name"]),
                _one_of(each["direction"], ("import", "export")),
                _named_types(each["types"], count),
                _docs(each.get("docs")),
            )
            for each in _list(raw["interfaces"])
        ),
        world_types=_named_types(raw.get("world_types", {}), count),
        imports=tuple([_function(each, types) for each in _list(raw["imports"])]),
        exports=tuple([_function(each, types) for each in _list(raw["exports"])]),
        resource_drops=tuple(
            ResourceDrop(_number(each["index"]), _resource(each["resource"], types))
            for each in _list(raw.get("resource_drops", []))
        ),
        resource_destructors=tuple(
            ResourceDestructor(_number(each["number"]), _resource(each["resource"], types))
            for each in _list(raw.get("resource_destructors", []))
        ),
        skipped=tuple(
            Skipped(_text(each["name"]), _text(each["reason"]))
            for each in _list(raw.get("skipped", []))
        ),
        number_lists=number_lists,
    )


def _function(raw: Mapping[str, Any], types: list[Any]) -> Function:
    get = raw.get
    count = len(types)
    params = tuple(
        [Param(_name(each["name"]), _ref(each["type"], count)) for each in _list(raw["params"])]
    )
    kind = _one_of(raw["kind"], ("function", "method", "static", "constructor"))
    resource = get("resource")
    if (resource is None) != (kind == "function"):
        raise ValueError(f"{kind} with resource {resource!r}")
    return Function(
        _number(raw["index"]),
        _optional_name(raw["interface"]),
        _name(raw["name"]),
        kind,
        None if resource is None else _resource(resource, types),
        _optional_text(get("core_name")),
        params,
        _optional_ref(raw["result"], count),
        _number(raw["params_size"]),
        _number(raw["params_align"]),
        _number(get("result_offset") or 0),
        _number(get("end_offset") or 0),
        _docs(get("docs")),
    )


def _number(value: Any, limit: int = 0xFFFF_FFFF) -> int:
    # bool is an int, and text would be source.
    if type(value) is int and 0 <= value <= limit:
        return value
    raise ValueError(f"{value!r} is no number of at most {limit}")


def _optional_number(value: Any) -> int | None:
    # A 64-bit memory may declare any maximum.
    return None if value is None else _number(value, (1 << 64) - 1)


def _text(value: Any) -> str:
    if type(value) is str:
        return value
    raise TypeError(f"{value!r} is no text")


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _name(value: Any) -> str:
    """A name as messages and help() show it; the bridge generator makes no others."""
    name = _text(value)
    if name.isprintable():
        return name
    raise ValueError(f"{name!r} is no name")


def _optional_name(value: Any) -> str | None:
    return None if value is None else _name(value)


def _docs(value: Any) -> str | None:
    """Documentation. A component's is its author's, and help() writes it to the terminal."""
    docs = _optional_text(value)
    if docs is None or docs.isprintable():
        return docs
    # Only here: most components have none.
    from hlwasm.text import printable

    return printable(docs.replace("\r\n", "\n"))


def _list(value: Any) -> list[Any]:
    if type(value) is list:
        return value
    raise TypeError(f"{value!r} is no list")


def _named_types(raw: Any, count: int) -> dict[str, int]:
    return {_name(name): _number(index, count - 1) for name, index in raw.items()}


def _resource(value: Any, types: list[Any]) -> int:
    index = _number(value, len(types) - 1)
    if types[index]["kind"] != "resource":
        raise ValueError(f"type {index} is no resource")
    return index


def _one_of(value: Any, allowed: tuple[str, ...]) -> Any:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return value


def _ref(value: Any, limit: int) -> TypeRef:
    if type(value) is int and 0 <= value < limit:
        return value
    if type(value) is str and value in PRIMITIVES:
        return value
    raise ValueError(f"{value!r} is no type")


def _optional_ref(value: Any, limit: int) -> TypeRef | None:
    return None if value is None else _ref(value, limit)


def _labels(raw: Sequence[Mapping[str, Any]]) -> tuple[Label, ...]:
    return tuple([Label(_name(each["name"]), _docs(each.get("docs"))) for each in raw])


def _type(index: int, raw: Mapping[str, Any], types: list[Any]) -> AnyType:
    kind = raw["kind"]
    # A type refers to earlier ones only, so none contains itself.
    count = index
    head = (
        index,
        _optional_name(raw.get("name")),
        _optional_name(raw.get("interface")),
        _docs(raw.get("docs")),
    )
    if kind == "record":
        fields = [
            Field(_name(each["name"]), _ref(each["type"], count), _docs(each.get("docs")))
            for each in _list(raw["fields"])
        ]
        return Record(*head, tuple(fields))
    if kind == "tuple":
        return Tuple(*head, tuple(_ref(each, count) for each in _list(raw["types"])))
    if kind == "list":
        return List(*head, _ref(raw["type"], count))
    if kind == "option":
        return Option(*head, _ref(raw["type"], count))
    if kind == "result":
        return Result(*head, _optional_ref(raw["ok"], count), _optional_ref(raw["err"], count))
    if kind == "variant":
        cases = [
            Case(
                _name(each["name"]),
                _optional_ref(each["type"], count),
                _docs(each.get("docs")),
            )
            for each in _list(raw["cases"])
        ]
        return Variant(*head, tuple(cases))
    if kind == "enum":
        return Enum(*head, _labels(_list(raw["cases"])))
    if kind == "flags":
        return Flags(*head, _labels(_list(raw["flags"])))
    if kind == "resource":
        return Resource(*head, _one_of(raw["side"], ("host", "guest")))
    if kind == "own":
        return Own(*head, _resource(raw["resource"], types))
    if kind == "borrow":
        return Borrow(*head, _resource(raw["resource"], types))
    raise ValueError(f"unknown kind {kind!r}")
