"""The world of a component as immutable objects, read from the description JSON.

A type is referenced as a :data:`TypeRef`: the name of a primitive type, or an index
into :attr:`Description.types`. Functions are built at once, because linking looks at
all of them; types are built when something first looks at them, because most WASI
types of a component are never used.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, overload

from hlwasm.errors import ArtifactError

FORMAT = 1
# A transfer memory of 4 GiB, in wasm pages.
_PAGES_MAX = 1 << 16

#: A primitive's WIT name, or an index into the description's types.
TypeRef: TypeAlias = "str | int"

PRIMITIVES = frozenset(
    ["bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char", "string"]
)

T = TypeVar("T")


class Param(NamedTuple):
    """A parameter of a function; ``name`` is the WIT name."""

    name: str
    type: TypeRef


class Field(NamedTuple):
    """A field of a record."""

    name: str
    type: TypeRef
    docs: str | None


class Case(NamedTuple):
    """A case of a variant; ``type`` is None where the case has no payload."""

    name: str
    type: TypeRef | None
    docs: str | None


class Label(NamedTuple):
    """A case of an enum, or one flag."""

    name: str
    docs: str | None


@dataclass(frozen=True, slots=True)
class TypeDef:
    """What every type has.

    Attributes:
        index: position in the description's types.
        name: WIT name, None where the type has none.
        interface: WIT name of the interface that defines it, None for the world.
        docs: documentation from the WIT, if it carried any.
    """

    index: int
    name: str | None
    interface: str | None
    docs: str | None


@dataclass(frozen=True, slots=True)
class Record(TypeDef):
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Tuple(TypeDef):
    types: tuple[TypeRef, ...]


@dataclass(frozen=True, slots=True)
class List(TypeDef):
    element: TypeRef


@dataclass(frozen=True, slots=True)
class Option(TypeDef):
    some: TypeRef


@dataclass(frozen=True, slots=True)
class Result(TypeDef):
    ok: TypeRef | None
    err: TypeRef | None


@dataclass(frozen=True, slots=True)
class Variant(TypeDef):
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Enum(TypeDef):
    cases: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Flags(TypeDef):
    flags: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class Resource(TypeDef):
    """A resource type; ``side`` says who implements it."""

    side: Literal["host", "guest"]


@dataclass(frozen=True, slots=True)
class Own(TypeDef):
    """A handle that carries ownership; ``resource`` is the index of its resource type."""

    resource: int


@dataclass(frozen=True, slots=True)
class Borrow(TypeDef):
    """A handle that is lent for one call."""

    resource: int


AnyType: TypeAlias = (
    "Record | Tuple | List | Option | Result | Variant | Enum | Flags | Resource | Own | Borrow"
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the world.

    Attributes:
        index: its number in the bridge protocol.
        interface: WIT name of its interface with version, None at world level.
        name: WIT name; methods are written ``[method]resource.name``.
        kind: how Python shows it.
        resource: index of the resource type of a method, static or constructor.
        core_name: the name in a bare core module, None for components.
        params: the parameters, a method's own ``self`` included.
        result: type of the result, None where there is none.
        params_size: bytes of the parameters' record.
        params_align: its alignment.
        result_offset: exports: where the result record lies in the export memory.
        end_offset: exports: first free byte behind parameters and result.
        docs: documentation from the WIT.
        description: the description that the function belongs to.
    """

    index: int
    interface: str | None
    name: str
    kind: Literal["function", "method", "static", "constructor"]
    resource: int | None
    core_name: str | None
    params: tuple[Param, ...]
    result: TypeRef | None
    params_size: int
    params_align: int
    result_offset: int
    end_offset: int
    docs: str | None
    description: Description = field(init=False, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface that the component imports or exports.

    Attributes:
        name: WIT name with version.
        direction: seen from the component.
        types: WIT type name → index.
    """

    name: str
    direction: Literal["import", "export"]
    types: Mapping[str, int]
    docs: str | None


@dataclass(frozen=True, slots=True)
class ResourceDrop:
    """``call-index`` drops a handle of the guest resource type ``resource``."""

    index: int
    resource: int


@dataclass(frozen=True, slots=True)
class ResourceDestructor:
    """Host call ``DROP_RESOURCE | number``: the guest dropped a host resource."""

    number: int
    resource: int


class Skipped(NamedTuple):
    """An export of a bare module that cannot be called, and why."""

    name: str
    reason: str


class MemoryPlan(NamedTuple):
    """A linear memory of the component, in wasm pages of 64 KiB."""

    minimum_pages: int
    maximum_pages: int | None


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


@dataclass(frozen=True)
class Description:
    """Everything that Python knows about a component.

    Attributes:
        source_kind: ``component``, ``command``, ``reactor`` (preview 1) or ``module`` (bare).
        wit: the world as WIT text.
        world: WIT name of the world.
        import_pages: declared pages of the import bridge's memory, 0 without one.
        export_pages: declared pages of the export bridge's memory.
        memories: the component's own memories, in order of instantiation.
        call_count: how many ``call-k`` there are, drops included.
        types: all types.
        interfaces: all interfaces, imported and exported.
        world_types: WIT name → index, for types of the world itself.
        imports: imported functions; ``index`` is the function number of a host call.
        exports: exported functions; ``index`` is the k of ``call-k``.
        cache: for what is derived from this description once, such as generated code.
    """

    source_kind: Literal["component", "command", "reactor", "module"]
    wit: str
    world: str
    import_pages: int
    export_pages: int
    memories: tuple[MemoryPlan, ...]
    call_count: int
    types: TypeTable
    interfaces: tuple[Interface, ...]
    world_types: Mapping[str, int]
    imports: tuple[Function, ...]
    exports: tuple[Function, ...]
    resource_drops: tuple[ResourceDrop, ...]
    resource_destructors: tuple[ResourceDestructor, ...]
    skipped: tuple[Skipped, ...]
    cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for function in (*self.imports, *self.exports):
            object.__setattr__(function, "description", self)

    @classmethod
    def from_json(cls, source: str | bytes | Mapping[str, Any]) -> Description:
        """Reads the description that the bridge generator wrote.

        Raises:
            ArtifactError: it is damaged, or of a format that this version does not know.
        """
        raw: Any = source
        if isinstance(source, (str, bytes)):
            try:
                raw = json.loads(source)
            except ValueError as error:
                raise ArtifactError(f"the component's description is not JSON: {error}") from error
        if not isinstance(raw, Mapping):
            raise ArtifactError("the component's description is not a JSON object")
        if raw.get("format") != FORMAT:
            raise ArtifactError(
                f"the component's description has format {raw.get('format')!r}; "
                f"this version of hlwasm reads format {FORMAT}"
            )
        return _damaged_if_it_fails(lambda: _description(raw), "the world")

    def types_of(
        self, interface: str | None, direction: Literal["import", "export"] = "export"
    ) -> Mapping[str, int]:
        """The named types of an interface (or of the world): WIT name → index."""
        if interface is None:
            return self.world_types
        for each in self.interfaces:
            if each.name == interface and each.direction == direction:
                return each.types
        return {}

    def type(self, index: int) -> AnyType:
        """The type at ``index``."""
        return self.types[index]

    def has_python_type(self, index: int) -> bool:
        """Whether values of the type have a Python class made for it."""
        return isinstance(self.types[index], (Record, Variant, Enum, Flags))

    def python_type(self, index: int) -> builtins.type:
        """The Python class of a record, variant, enum or flags type; always the same object."""
        # Here, because most components' types are never asked for.
        from hlwasm.wit.python_types import python_types

        return python_types(self)[index]


def _damaged_if_it_fails(build: Callable[[], T], what: str) -> T:
    try:
        return build()
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ArtifactError(
            f"the component's description is damaged at {what}: {type(error).__name__}: {error}"
        ) from error


def _description(raw: Mapping[str, Any]) -> Description:
    # Everything is checked here: numbers and names go on into generated source and native
    # calls, and an artifact file may come from anybody.
    types = _list(raw["types"])
    count = len(types)
    return Description(
        source_kind=_one_of(raw["source_kind"], ("component", "command", "reactor", "module")),
        wit=_text(raw.get("wit", "")),
        world=_text(raw["world"]),
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
                _text(each["name"]),
                _one_of(each["direction"], ("import", "export")),
                _named_types(each["types"], count),
                _optional_text(each.get("docs")),
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
    )


def _function(raw: Mapping[str, Any], types: list[Any]) -> Function:
    get = raw.get
    count = len(types)
    params = tuple(
        [Param(_text(each["name"]), _ref(each["type"], count)) for each in _list(raw["params"])]
    )
    kind = _one_of(raw["kind"], ("function", "method", "static", "constructor"))
    resource = get("resource")
    if (resource is None) != (kind == "function"):
        raise ValueError(f"{kind} with resource {resource!r}")
    return Function(
        _number(raw["index"]),
        _optional_text(raw["interface"]),
        _text(raw["name"]),
        kind,
        None if resource is None else _resource(resource, types),
        _optional_text(get("core_name")),
        params,
        _optional_ref(raw["result"], count),
        _number(raw["params_size"]),
        _number(raw["params_align"]),
        _number(get("result_offset") or 0),
        _number(get("end_offset") or 0),
        _optional_text(get("docs")),
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


def _list(value: Any) -> list[Any]:
    if type(value) is list:
        return value
    raise TypeError(f"{value!r} is no list")


def _named_types(raw: Any, count: int) -> dict[str, int]:
    return {_text(name): _number(index, count - 1) for name, index in raw.items()}


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
    return tuple([Label(_text(each["name"]), _optional_text(each.get("docs"))) for each in raw])


def _type(index: int, raw: Mapping[str, Any], types: list[Any]) -> AnyType:
    kind = raw["kind"]
    # A type refers to earlier ones only, so none contains itself.
    count = index
    head = (
        index,
        _optional_text(raw.get("name")),
        _optional_text(raw.get("interface")),
        _optional_text(raw.get("docs")),
    )
    if kind == "record":
        fields = [
            Field(_text(each["name"]), _ref(each["type"], count), _optional_text(each.get("docs")))
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
                _text(each["name"]),
                _optional_ref(each["type"], count),
                _optional_text(each.get("docs")),
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
