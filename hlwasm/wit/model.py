"""The world of a component as immutable objects, read from the description JSON.

A type is referenced as a :data:`TypeRef`: the name of a primitive type, or an index
into :attr:`Description.types`. Functions are built at once, because linking looks at
all of them; types are built when something first looks at them, because most WASI
types of a component are never used.
"""

from __future__ import annotations

from _weakref import ref
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeAlias

from hlwasm.frozen import Frozen, late

#: A primitive's WIT name, or an index into the description's types.
TypeRef: TypeAlias = "str | int"

#: What a list of numbers is in Python; see :func:`hlwasm.load`.
NumberLists: TypeAlias = Literal["list", "array", "numpy"]

PRIMITIVES = frozenset(
    ["bool", "u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64", "f32", "f64", "char", "string"]
)


class Param(Frozen):
    """A parameter of a function; ``name`` is the WIT name."""

    name: str
    type: TypeRef


class Field(Frozen):
    """A field of a record."""

    name: str
    type: TypeRef
    docs: str | None


class Case(Frozen):
    """A case of a variant; ``type`` is None where the case has no payload."""

    name: str
    type: TypeRef | None
    docs: str | None


class Label(Frozen):
    """A case of an enum, or one flag."""

    name: str
    docs: str | None


class TypeDef(Frozen):
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

    @property
    def wit_name(self) -> str:
        """``interface#type``, or the name alone at world level."""
        return f"{self.interface}#{self.name}" if self.interface else str(self.name)


class Record(TypeDef):
    fields: tuple[Field, ...]


class Tuple(TypeDef):
    types: tuple[TypeRef, ...]


class List(TypeDef):
    element: TypeRef


class Option(TypeDef):
    some: TypeRef


class Result(TypeDef):
    ok: TypeRef | None
    err: TypeRef | None


class Variant(TypeDef):
    cases: tuple[Case, ...]


class Enum(TypeDef):
    cases: tuple[Label, ...]


class Flags(TypeDef):
    flags: tuple[Label, ...]


class Resource(TypeDef):
    """A resource type; ``side`` says who implements it."""

    side: Literal["host", "guest"]


class Own(TypeDef):
    """A handle that carries ownership; ``resource`` is the index of its resource type."""

    resource: int


class Borrow(TypeDef):
    """A handle that is lent for one call."""

    resource: int


AnyType: TypeAlias = (
    "Record | Tuple | List | Option | Result | Variant | Enum | Flags | Resource | Own | Borrow"
)


class Function(Frozen):
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
    description: Description = late()


class Interface(Frozen):
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


class ResourceDrop(Frozen):
    """``call-index`` drops a handle of the guest resource type ``resource``."""

    index: int
    resource: int


class ResourceDestructor(Frozen):
    """Host call ``DROP_RESOURCE | number``: the guest dropped a host resource."""

    number: int
    resource: int


class Skipped(Frozen):
    """An export of a bare module that cannot be called, and why."""

    name: str
    reason: str


class MemoryPlan(Frozen):
    """A linear memory of the component, in wasm pages of 64 KiB."""

    minimum_pages: int
    maximum_pages: int | None


class Description(Frozen):
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
        number_lists: what lists of numbers are in Python; see :func:`hlwasm.load`.
        cache: for what is derived from this description once, such as generated code.
        resource_bases: by index of a guest resource's type, a class that its Python class is
            derived from; see :mod:`hlwasm.bindgen`.
    """

    source_kind: Literal["component", "command", "reactor", "module"]
    wit: str
    world: str
    import_pages: int
    export_pages: int
    memories: tuple[MemoryPlan, ...]
    call_count: int
    types: Sequence[AnyType]
    interfaces: tuple[Interface, ...]
    world_types: Mapping[str, int]
    imports: tuple[Function, ...]
    exports: tuple[Function, ...]
    resource_drops: tuple[ResourceDrop, ...]
    resource_destructors: tuple[ResourceDestructor, ...]
    skipped: tuple[Skipped, ...]
    number_lists: NumberLists = "list"
    cache: dict[Any, Any] = late()
    resource_bases: dict[int, type] = late()

    def __post_init__(self) -> None:
        vars(self)["cache"] = {}
        vars(self)["resource_bases"] = {}
        key = id(self)
        _living[key] = ref(self, lambda _: _living.pop(key, None))
        for function in (*self.imports, *self.exports):
            vars(function)["description"] = self

    @classmethod
    def from_json(
        cls, source: str | bytes | Mapping[str, Any], number_lists: NumberLists = "list"
    ) -> Description:
        """Reads the description that the bridge generator wrote.

        Raises:
            ArtifactError: it is damaged, or of a format that this version does not know.
        """
        # Reading needs the classes of this module.
        from hlwasm.wit.description_json import read_description

        return read_description(source, number_lists)

    @cached_property
    def imports_by_index(self) -> Mapping[int, Function]:
        """The imported functions by their numbers."""
        return {function.index: function for function in self.imports}

    @cached_property
    def exports_by_index(self) -> Mapping[int, Function]:
        """The exported functions likewise."""
        return {function.index: function for function in self.exports}

    @cached_property
    def imports_by_interface(self) -> Mapping[str | None, Sequence[Function]]:
        """The imported functions by the WIT names of their interfaces, None for the world's."""
        return _by_interface(self.imports)

    @cached_property
    def exports_by_interface(self) -> Mapping[str | None, Sequence[Function]]:
        """The exported functions likewise."""
        return _by_interface(self.exports)

    @cached_property
    def exports_by_resource(self) -> Mapping[int, Sequence[Function]]:
        """The methods, static functions and constructors that are exported, by resource type."""
        found: dict[int, list[Function]] = {}
        for function in self.exports:
            if function.resource is not None:
                found.setdefault(function.resource, []).append(function)
        return found

    @cached_property
    def drops_by_resource(self) -> Mapping[int, int]:
        """Guest resource type → index of the call that drops a handle."""
        return {drop.resource: drop.index for drop in self.resource_drops}

    @cached_property
    def resources_by_drop(self) -> Mapping[int, int]:
        """The same the other way round."""
        return {drop.index: drop.resource for drop in self.resource_drops}

    @cached_property
    def destructors_by_number(self) -> Mapping[int, int]:
        """Number of a host resource's drop → its type."""
        return {each.number: each.resource for each in self.resource_destructors}

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

    def python_type(self, index: int) -> Any:
        """The Python class of a record, variant, enum or flags type; always the same object."""
        # Here, because most components' types are never asked for.
        from hlwasm.wit.python_types import python_types

        return python_types(self)[index]


# By identity. What is unpickled finds its types here.
_living: dict[int, ref[Description]] = {}


def living_descriptions() -> list[Description]:
    """All descriptions that somebody holds, the oldest first."""
    found = [each() for each in list(_living.values())]
    return [each for each in found if each is not None]


def _by_interface(functions: Iterable[Function]) -> dict[str | None, list[Function]]:
    found: dict[str | None, list[Function]] = {}
    for function in functions:
        found.setdefault(function.interface, []).append(function)
    return found
