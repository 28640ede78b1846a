"""WIT types as Python annotations, as one module of a package writes them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from hlwasm.bindgen.plan import Module, Plan
from hlwasm.errors import ArtifactError
from hlwasm.wit.model import (
    AnyType,
    Borrow,
    Enum,
    Flags,
    Function,
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

# Types that nest without names grow exponentially; no WIT that somebody wrote comes near.
_LONGEST = 2000
# Python's parser allows 200 brackets inside each other.
_DEEPEST = 100
_PRIMITIVES = {"bool": "bool", "f32": "float", "f64": "float", "char": "str", "string": "str"}
_NUMBERS = {"f32": "Floats", "f64": "Floats"}


class Annotations:
    """Writes annotations for one module.

    A value that comes from the component is *lifted* and has one Python type; one that goes
    there is *lowered*, and several will do: any sequence for a list, buffers for numbers.

    Attributes:
        imports: what the module has to import for what was written so far.
        hidden: classes of the module that were written with an underscore in front, because
            a member of the surrounding class hides them.
    """

    def __init__(self, plan: Plan, module: Module, *, asynchronous: bool = False) -> None:
        self._plan = plan
        self._module = module
        self._asynchronous = asynchronous
        self.imports: set[str] = set()
        self.hidden: set[str] = set()

    def typing(self, name: str) -> str:
        """A name of the module typing."""
        self.imports.add("import typing as _typing")
        return f"_typing.{name}"

    def runtime(self, name: str) -> str:
        """A name of what generated code stands on."""
        self.imports.add("from hlwasm.bindgen import runtime as _runtime")
        return f"_runtime.{name}"

    def async_runtime(self, name: str) -> str:
        """Likewise, where there is asyncio."""
        self.imports.add("from hlwasm.bindgen import async_runtime as _async_runtime")
        return f"_async_runtime.{name}"

    def hlwasm(self, name: str) -> str:
        """A public name of hlwasm."""
        self.imports.add("import hlwasm as _hlwasm")
        return f"_hlwasm.{name}"

    def module(self, module: Module) -> str:
        """Another module of the package, or an empty text for this one."""
        if module is self._module:
            return ""
        if module.interface is None:
            raise ArtifactError("an interface refers to a type of the world")
        self.imports.add(f"from . import {module.name} as {module.alias}")
        return f"{module.alias}."

    def lifted(self, ref: TypeRef | None, scope: Collection[str] = ()) -> str:
        """The type of a value from the component.

        Args:
            ref: its WIT type.
            scope: names that the surrounding class defines, which hide others.
        """
        if ref is None or isinstance(ref, str):
            return self._primitive(ref, scope)
        return self._any_if_long(self._lifted(self._plan.description.types[ref], scope))

    def lowered(self, ref: TypeRef | None, scope: Collection[str] = ()) -> str:
        """The type of a value for the component; otherwise as :meth:`lifted`."""
        if ref is None or isinstance(ref, str):
            return self._primitive(ref, scope)
        return self._any_if_long(self._lowered(self._plan.description.types[ref], scope))

    def success(self, function: Function) -> TypeRef | None:
        """The type that an export returns when it does not raise."""
        result = self.result(function)
        return function.result if result is None else result.ok

    def result(self, function: Function) -> Result | None:
        """The function's type of result, where it is a ``result``."""
        types = self._plan.description.types
        type_ = types[function.result] if isinstance(function.result, int) else None
        return type_ if isinstance(type_, Result) else None

    def answer(self, function: Function, scope: Collection[str]) -> str:
        """What a host function may return."""
        result = self.result(function)
        if result is None:
            return self.lowered(function.result, scope)
        ok, err = self.lowered(result.ok, scope), self.lowered(result.err, scope)
        return f"{self.runtime('Fallible')}[{ok}, {err}]"

    def builtin(self, name: str, scope: Collection[str]) -> str:
        """A builtin type, also where the class has a member of that name."""
        if name not in scope:
            return name
        self.imports.add("import builtins as _builtins")
        return f"_builtins.{name}"

    def class_(self, type_: AnyType, scope: Collection[str] = ()) -> str:
        """The class of a record, variant, enum, flags or resource type."""
        assert isinstance(type_, (Record, Variant, Enum, Flags, Resource))
        name = self._plan.class_name(type_)
        if name is None:
            return self.typing("Any")
        if self._asynchronous and isinstance(type_, Resource):
            name = f"Async{name}"
        prefix = self.module(self._plan.module_of(type_))
        if prefix or name not in scope:
            return f"{prefix}{name}"
        self.hidden.add(name)
        return f"_{name}"

    def _primitive(self, ref: str | None, scope: Collection[str]) -> str:
        return "None" if ref is None else self.builtin(_PRIMITIVES.get(ref, "int"), scope)

    def _any_if_long(self, text: str) -> str:
        small = len(text) <= _LONGEST and text.count("[") <= _DEEPEST
        return text if small else self.typing("Any")

    def _lifted(self, type_: AnyType, scope: Collection[str]) -> str:
        if isinstance(type_, List):
            if type_.element == "u8":
                return self.builtin("bytes", scope)
            return f"{self.builtin('list', scope)}[{self.lifted(type_.element, scope)}]"
        if isinstance(type_, Tuple):
            return self._tuple([self.lifted(each, scope) for each in type_.types], scope)
        if isinstance(type_, Option):
            return self._optional(type_, self.lifted(type_.some, scope))
        if isinstance(type_, Result):
            return self._cases(self.lifted(type_.ok, scope), self.lifted(type_.err, scope))
        if isinstance(type_, (Own, Borrow)):
            return self.lifted(type_.resource, scope)
        return self.class_(type_, scope)

    def _lowered(self, type_: AnyType, scope: Collection[str]) -> str:
        if isinstance(type_, List):
            element = type_.element
            if (isinstance(element, str) and element not in _PRIMITIVES) or element in _NUMBERS:
                return self.runtime(_NUMBERS.get(str(element), "Integers"))
            return f"{self.runtime('Sequence')}[{self.lowered(element, scope)}]"
        if isinstance(type_, Tuple):
            return self._tuple([self.lowered(each, scope) for each in type_.types], scope)
        if isinstance(type_, Option):
            return self._optional(type_, self.lowered(type_.some, scope))
        if isinstance(type_, Result):
            return self._cases(self.lowered(type_.ok, scope), self.lowered(type_.err, scope))
        if isinstance(type_, (Own, Borrow)):
            return self.lowered(type_.resource, scope)
        return self.class_(type_, scope)

    def _tuple(self, items: Sequence[str], scope: Collection[str]) -> str:
        return f"{self.builtin('tuple', scope)}[{', '.join(items) or '()'}]"

    def _optional(self, type_: Option, some: str) -> str:
        types = self._plan.description.types
        nested = isinstance(type_.some, int) and isinstance(types[type_.some], Option)
        return f"{self.hlwasm('Some')}[{some}] | None" if nested else f"{some} | None"

    def _cases(self, ok: str, err: str) -> str:
        return f"{self.hlwasm('Ok')}[{ok}] | {self.hlwasm('Err')}[{err}]"
