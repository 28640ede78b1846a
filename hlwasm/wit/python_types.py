"""The Python classes of a component's records, variants, enums and flags.

Classes are made when they are first asked for, once per description. The same type seen
through an imported and an exported copy of its interface is one class.
"""

from __future__ import annotations

import os
from _thread import RLock
from collections.abc import Callable, Iterator
from operator import or_
from types import GenericAlias
from typing import Any, cast

from hlwasm.errors import ArtifactError, Err
from hlwasm.wit.model import (
    AnyType,
    Borrow,
    Case,
    Description,
    Enum,
    Flags,
    List,
    Option,
    Own,
    Record,
    Resource,
    Result,
    Tuple,
    TypeRef,
    Variant,
)
from hlwasm.wit.names import (
    identifier,
    parse_interface_name,
    snake_case,
    upper_camel_case,
    upper_snake_case,
)
from hlwasm.wit.type_text import definition_text
from hlwasm.wit.values import Ok, Some, WitEnum, WitFlags, WitRecord, WitVariant

_LONGEST_ANNOTATION = 1000

_MODULE = "hlwasm.types"

_PRIMITIVE_HINT: dict[str, Any] = {"bool": bool, "f32": float, "f64": float, "char": str,
                                   "string": str}  # fmt: skip
_PRIMITIVE_ANNOTATION = {"bool": "bool", "f32": "float", "f64": "float", "char": "str",
                         "string": "str"}  # fmt: skip


def python_types(description: Description) -> PythonTypes:
    """The classes of a description; always the same object for one description."""
    found = description.cache.get(PythonTypes)
    if found is None:
        # Another thread may be here too: the first to put one there has made it for both.
        found = description.cache.setdefault(PythonTypes, PythonTypes(description))
    return cast(PythonTypes, found)


# Held while a class is made: two threads that ask for one must get the same. Reentrant, for
# signal handlers. One for the process, so that a forked child can replace it.
_making = RLock()


def _forget() -> None:
    # In the child the thread that held it does not exist.
    global _making
    _making = RLock()


os.register_at_fork(after_in_child=_forget)


class PythonTypes:
    """Makes and keeps the classes; use :func:`python_types` to get one."""

    def __init__(self, description: Description) -> None:
        self._description = description
        self._by_index: dict[int, type] = {}
        self._by_identity: dict[tuple[object, ...], type] = {}
        self._annotations: dict[int, str] = {}
        self._structures: dict[TypeRef | None, int] = {}
        self._interned: dict[tuple[object, ...], int] = {}
        # Types with classes whose structure is known, in that order.
        self._unmade: list[int] = []

    def __getitem__(self, index: int) -> type:
        """The class of a record, variant, enum or flags type.

        Raises:
            TypeError: the type is of a kind that has no class of its own.
        """
        found = self._by_index.get(index)
        if found is None:
            with _making:
                found = self._by_index.get(index) or self._class(index)
        return found

    def use(self, index: int, cls: type) -> None:
        """Takes a class that is declared in Python source, in place of making one.

        Args:
            index: of a type that was not asked for yet.
            cls: built as the one that would be made; see :mod:`hlwasm.bindgen.types_source`.
        """
        with _making:
            if self._by_index.setdefault(index, cls) is not cls:
                raise ValueError(f"type {index} has a class already")

    def _class(self, index: int) -> type:
        try:
            self._structure(index, set())
            # What is inside came first and is made first, so that no class waits for another.
            inner, self._unmade = self._unmade, []
            for each in (*inner, index):
                if each not in self._by_index:
                    self._by_index[each] = self._same_or_new(each)
        except RecursionError:
            raise ArtifactError("the component's description nests types too deeply") from None
        return self._by_index[index]

    def _same_or_new(self, index: int) -> type:
        type_ = self._description.types[index]
        identity = (type_.interface, type_.name, self._structure(index, set()))
        found = self._by_identity.get(identity)
        if found is None:
            found = self._by_identity[identity] = self._make(type_)
        return found

    def has_class(self, index: int) -> bool:
        """Whether the type is of a kind that has a class of its own."""
        return type(self._description.types[index]) in _MAKERS

    def annotation(self, ref: TypeRef | None) -> str:
        """The Python type of a value, as the text of an annotation that names classes."""
        if ref is None:
            return "None"
        if isinstance(ref, str):
            return _PRIMITIVE_ANNOTATION.get(ref, "int")
        found = self._annotations.get(ref)
        if found is None:
            found = self._annotation(self._description.types[ref])
            # A hundred types, each a pair of the one before, would fill any memory.
            found = self._annotations[ref] = found if len(found) <= _LONGEST_ANNOTATION else "Any"
        return found

    def _annotation(self, type_: AnyType) -> str:
        if isinstance(type_, List):
            return self._list(type_.element)
        if isinstance(type_, Tuple):
            inner = ", ".join(self.annotation(each) for each in type_.types) or "()"
            return f"tuple[{inner}]"
        if isinstance(type_, Option):
            some = self.annotation(type_.some)
            return f"Some[{some}] | None" if self.is_option(type_.some) else f"{some} | None"
        if isinstance(type_, Result):
            return f"Ok[{self.annotation(type_.ok)}] | Err[{self.annotation(type_.err)}]"
        if isinstance(type_, (Own, Borrow)):
            return self.annotation(type_.resource)
        return upper_camel_case(type_.name) if type_.name else "Any"

    def _list(self, element: TypeRef) -> str:
        number_lists = self._description.number_lists
        inner = self.annotation(element)
        if not isinstance(element, str) or inner not in ("int", "float"):
            return f"list[{inner}]"
        if number_lists == "numpy":
            return "ndarray"
        return "bytes" if element == "u8" else f"{number_lists}[{inner}]"

    def success(self, ref: TypeRef | None) -> TypeRef | None:
        """The type that a function of this result type returns when it does not raise."""
        type_ = self._description.types[ref] if isinstance(ref, int) else None
        return type_.ok if isinstance(type_, Result) else ref

    def is_option(self, ref: TypeRef) -> bool:
        """Whether the type is an option, so that an option of it needs Some."""
        return isinstance(ref, int) and isinstance(self._description.types[ref], Option)

    def _structure(self, ref: TypeRef | None, within: set[int]) -> int:
        """A number that two types share exactly when they are built alike.

        Args:
            ref: the type.
            within: types that this is asked on behalf of.
        """
        found = self._structures.get(ref)
        if found is None:
            if ref is None or isinstance(ref, str):
                shape: tuple[object, ...] = (ref,)
            elif ref in within:
                # Standing for itself while it is computed ends a cyclic description.
                return -1
            else:
                within.add(ref)
                shape = self._parts(self._description.types[ref], within)
            found = self._structures[ref] = self._interned.setdefault(shape, len(self._interned))
            if isinstance(ref, int) and self.has_class(ref):
                self._unmade.append(ref)
        return found

    def _parts(self, type_: AnyType, within: set[int]) -> tuple[object, ...]:
        def of(ref: TypeRef | None) -> int:
            return self._structure(ref, within)

        kind = type(type_)
        if isinstance(type_, Record):
            return (kind, type_.name, *[(each.name, of(each.type)) for each in type_.fields])
        if isinstance(type_, Variant):
            return (kind, type_.name, *[(each.name, of(each.type)) for each in type_.cases])
        if isinstance(type_, Enum):
            return (kind, type_.name, *[each.name for each in type_.cases])
        if isinstance(type_, Flags):
            return (kind, type_.name, *[each.name for each in type_.flags])
        if isinstance(type_, List):
            return (kind, of(type_.element))
        if isinstance(type_, Option):
            return (kind, of(type_.some))
        if isinstance(type_, Tuple):
            return (kind, *[of(each) for each in type_.types])
        if isinstance(type_, Result):
            return (kind, of(type_.ok), of(type_.err))
        if isinstance(type_, Resource):
            return (kind, type_.interface, type_.name)
        return (kind, of(type_.resource))

    def _make(self, type_: AnyType) -> type:
        maker = _MAKERS.get(type(type_))
        if maker is None:
            raise TypeError(f"{type(type_).__name__.lower()} types have no class of their own")
        try:
            return maker(self, type_)
        except (ValueError, TypeError, AttributeError) as error:
            raise ArtifactError(
                f"no Python class can be made of type {type_.name!r}: {error}"
            ) from error

    def hint(self, ref: TypeRef | None) -> Any:
        """The Python type of a value, as an object for annotations of fields."""
        if ref is None:
            return None
        if isinstance(ref, str):
            return _PRIMITIVE_HINT.get(ref, int)
        if self.has_class(ref):
            return self[ref]
        # Such a type would be too large to be shown or compared.
        if self.annotation(ref) == "Any":
            return Any
        type_ = self._description.types[ref]
        if isinstance(type_, List):
            text = self.annotation(ref)
            if text.startswith("list["):
                return GenericAlias(list, (self.hint(type_.element),))
            # NumPy is not imported for the sake of an annotation.
            return bytes if text == "bytes" else Any
        if isinstance(type_, Tuple):
            return GenericAlias(tuple, tuple([self.hint(each) for each in type_.types]))
        if isinstance(type_, Option):
            some = self.hint(type_.some)
            return or_(_of(Some, some) if self.is_option(type_.some) else some, None)
        if isinstance(type_, Result):
            return or_(_of(Ok, self.hint(type_.ok)), _of(Err, self.hint(type_.err)))
        # Each sandbox has classes of its own for resources, and the host's are the user's.
        return Any

    def _namespace(self, type_: AnyType) -> dict[str, Any]:
        definition = definition_text(self._description, type_.index)
        parts = [type_.docs, definition, *_member_docs(type_)]
        return {
            "__module__": module_name(type_),
            "__doc__": "\n\n".join(filter(None, parts)),
            "__wit_name__": type_.wit_name,
            "__wit_type__": (self._description, type_.index),
        }

    def _record(self, type_: Record) -> type:
        namespace = self._namespace(type_)
        namespace["__annotations__"] = annotations = {
            snake_case(each.name): self.hint(each.type) for each in type_.fields
        }
        if len(annotations) != len(type_.fields):
            raise ValueError("two fields have the same Python name")
        return _data_class(type(_class_name(type_), (WitRecord,), namespace))

    def _variant(self, type_: Variant) -> type:
        name = _class_name(type_)
        cls = type(name, (WitVariant,), {**self._namespace(type_), "__slots__": ()})
        for case in type_.cases:
            case_name = upper_camel_case(case.name)
            if case_name in vars(cls):
                raise ValueError(f"two cases have the Python name {case_name}")
            setattr(cls, case_name, self._case(cls, case_name, case))
        return cls

    def _case(self, variant: type, name: str, case: Case) -> type:
        annotations = {} if case.type is None else {"value": self.hint(case.type)}
        namespace = {
            "__module__": variant.__module__,
            "__qualname__": f"{variant.__qualname__}.{name}",
            "__doc__": case.docs or f"Case {case.name} of {variant.__qualname__}.",
            "__annotations__": annotations,
            "wit_case": case.name,
        }
        return _data_class(type(name, (variant,), namespace))

    def _enum(self, type_: Enum) -> type:
        members = [(upper_snake_case(each.name), each.name) for each in type_.cases]
        # The functional interface is typed for literal arguments only.
        return self._finish(cast(Any, WitEnum)(_class_name(type_), members), type_)

    def _flags(self, type_: Flags) -> type:
        members = [(upper_snake_case(each.name), 1 << i) for i, each in enumerate(type_.flags)]
        return self._finish(cast(Any, WitFlags)(_class_name(type_), members), type_)

    def _finish(self, cls: type, type_: AnyType) -> type:
        for name, value in self._namespace(type_).items():
            setattr(cls, name, value)
        return cls


def _of(generic: Any, argument: Any) -> Any:
    return generic[argument]


def _member_docs(type_: AnyType) -> Iterator[str]:
    """The documentation of fields, cases or flags, by Python name."""
    if isinstance(type_, Record):
        members = [(snake_case(each.name), each.docs) for each in type_.fields]
    elif isinstance(type_, Enum):
        members = [(upper_snake_case(each.name), each.docs) for each in type_.cases]
    elif isinstance(type_, Flags):
        members = [(upper_snake_case(each.name), each.docs) for each in type_.flags]
    elif isinstance(type_, Variant):
        members = [(upper_camel_case(each.name), each.docs) for each in type_.cases]
    else:
        members = []
    for name, docs in members:
        if docs:
            yield f"{name}: {docs}"


def module_name(type_: AnyType) -> str:
    """What stands before the class's name where Python shows it. No such module exists."""
    if type_.interface is None:
        return _MODULE
    return f"{_MODULE}.{identifier(parse_interface_name(type_.interface).name)}"


def _data_class(cls: type) -> type:
    # Only here: many components have no types of their own, and it takes long to import.
    from dataclasses import dataclass

    return dataclass(slots=True)(cls)


def _class_name(type_: AnyType) -> str:
    return upper_camel_case(type_.name or type(type_).__name__)


_MAKERS: dict[type, Callable[[PythonTypes, Any], type]] = {
    Record: PythonTypes._record,
    Variant: PythonTypes._variant,
    Enum: PythonTypes._enum,
    Flags: PythonTypes._flags,
}
