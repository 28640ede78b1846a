"""Source of what has functions: protocols of imports and exports, and resources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from hlwasm.bindgen.annotations import Annotations
from hlwasm.bindgen.plan import Module, Plan, members
from hlwasm.bindgen.text import INDENT, block, function, sentence
from hlwasm.codec.plain import parameter_names
from hlwasm.errors import UnsupportedItem
from hlwasm.wit.model import Function, Resource
from hlwasm.wit.names import python_function_name, upper_camel_case
from hlwasm.wit.type_text import function_text

_PRIVATE = re.compile(r"\b_(?=[A-Za-z])")
_EXPORTS_DOCS = "What the component exports."
_IMPORTS_DOCS = "What the component imports: implemented by a class, an object or a module."
_GUEST_RESOURCE_DOCS = "A resource of the component: drop it, or use it in a with statement."
_HOST_RESOURCE_DOCS = "A resource of the host: its close(), if it has one, is called at the end."

#: A property of a protocol: its name, its annotation.
Property = tuple[str, str]


class InterfaceSource:
    """Writes the protocols of one module.

    Args:
        asynchronous: write those of an :class:`hlwasm.AsyncSandbox`, whose names start with
            ``Async``.
    """

    def __init__(
        self, plan: Plan, module: Module, annotations: Annotations, *, asynchronous: bool = False
    ) -> None:
        self._plan = plan
        self._module = module
        self._annotations = annotations
        self._asynchronous = asynchronous
        self._prefix = "Async" if asynchronous else ""

    def name(self, name: str) -> str:
        """The name of something that the package adds to the WIT's names."""
        return self._module.own_name(f"{self._prefix}{name}")

    def protocol(self, exported: bool, properties: Sequence[Property] = ()) -> list[str]:
        """The protocol of the exported or imported functions.

        Args:
            properties: what it has beside those and the classes of its own resources.
        """
        module = self._module
        functions = module.exported if exported else module.imported
        plain = members(each for each in functions if each.resource is None)
        own = [*properties, *self._class_properties("guest" if exported else "host", functions)]
        scope = {*plain, *(name for name, _ in own)}
        for name in plain.keys() & {name for name, _ in own}:
            message = f"{name} is the Python name of an interface or resource and of a function"
            raise UnsupportedItem(message, plain[name].name)
        parts = [self._property(*each) for each in own]
        parts += [self._function(each, scope, exported) for each in plain.values()]
        head = f"class {self.name('Exports' if exported else 'Imports')}"
        docs = _EXPORTS_DOCS if exported else _IMPORTS_DOCS
        return block([f"{head}({self._annotations.typing('Protocol')}):"], docs, parts)

    def _property(self, name: str, annotation: str) -> list[str]:
        return function(name, ["self"], annotation, "", INDENT, decorators=["property"])

    def _function(
        self,
        each: Function,
        scope: Iterable[str],
        exported: bool,
        *,
        name: str = "",
        decorators: Sequence[str] = (),
    ) -> list[str]:
        """A function of the world as one of a class.

        Args:
            each: the function.
            scope: names that the class defines.
            exported: which way it goes.
            name: its Python name where that is not its WIT's.
        """
        annotations, hidden = self._annotations, frozenset(scope)
        annotate = annotations.lowered if exported else annotations.lifted
        names = parameter_names(each)
        parameters = [
            f"{python}: {annotate(param.type, hidden)}"
            for python, param in zip(names, each.params, strict=True)
        ]
        if each.kind == "method":
            parameters[0] = "self"
        else:
            # A parameter may have that name.
            parameters.insert(0, "_self" if "self" in names else "self")
        if exported:
            returns = annotations.lifted(annotations.success(each), hidden)
        else:
            # They are called by position, so that the implementation may choose the names.
            if len(parameters) > 1:
                parameters.append("/")
            returns = annotations.answer(each, hidden)
            if self._asynchronous:
                returns = f"{annotations.async_runtime('Answer')}[{returns}]"
        return function(
            name or python_function_name(each.name),
            parameters,
            returns,
            self._docs(each, exported),
            INDENT,
            prefix="async def" if exported and self._asynchronous else "def",
            decorators=decorators,
        )

    def _docs(self, each: Function, exported: bool) -> str:
        result = self._annotations.result(each)
        raises = None
        if result is not None:
            error = "None" if result.err is None else self._annotations.lifted(result.err)
            # As a reader would write it.
            error = f"hlwasm.Err[{_PRIVATE.sub('', error)}]"
            raises = f"Raises {error}." if exported else f"May raise {error}."
        return sentence(each.docs, function_text(self._plan.description, each), raises)

    # Resources

    def resources(self) -> list[list[str]]:
        """The classes of resources, and the protocols of what those have without an object."""
        module = self._module
        sources: list[list[str]] = []
        for exported, functions in ((True, module.exported), (False, module.imported)):
            for name, resource in module.resources("guest" if exported else "host"):
                own = [each for each in functions if each.resource == resource.index]
                methods = [each for each in own if each.kind == "method"]
                sources.append(self._resource(f"{self._prefix}{name}", resource, methods, exported))
                if len(methods) < len(own):
                    others = [each for each in own if each.kind != "method"]
                    sources.append(self._class_protocol(f"{self._prefix}{name}", others, exported))
        return sources

    def _resource(
        self, name: str, resource: Resource, methods: Sequence[Function], exported: bool
    ) -> list[str]:
        annotations = self._annotations
        own = members(methods)
        decorators: list[str] = []
        parts: list[list[str]] = []
        if exported:
            runtime = annotations.async_runtime if self._asynchronous else annotations.runtime
            base = runtime(f"{self._prefix}GuestResource")
            docs = _GUEST_RESOURCE_DOCS
            parts.append([f"{INDENT}__slots__ = ()"])
            if own:
                annotations.imports.add("import abc as _abc")
                decorators.append("_abc.abstractmethod")
        else:
            base = annotations.typing("Protocol")
            docs = _HOST_RESOURCE_DOCS
        parts += [
            self._function(each, own, exported, decorators=decorators) for each in own.values()
        ]
        head = [f"class {name}({base}):"]
        if exported and self._asynchronous:
            head.insert(0, f"@{annotations.async_runtime('twin')}({name.removeprefix('Async')})")
        return block(head, sentence(resource.docs, docs), parts)

    def _class_protocol(
        self, name: str, functions: Sequence[Function], exported: bool
    ) -> list[str]:
        statics = members(each for each in functions if each.kind == "static")
        makers = [each for each in functions if each.kind == "constructor"]
        parts = [self._function(each, statics, exported, name="__call__") for each in makers]
        parts += [self._function(each, statics, exported) for each in statics.values()]
        head = f"class {_class_protocol_name(name)}({self._annotations.typing('Protocol')}):"
        return block([head], f"What {name} has without an object.", parts)

    def _class_properties(self, side: str, functions: Sequence[Function]) -> list[Property]:
        """How the interface gives access to its resources."""
        return [
            (upper_camel_case(resource.name or ""), _class_protocol_name(f"{self._prefix}{name}"))
            for name, resource in self._module.resources(side)
            if any(f.resource == resource.index and f.kind != "method" for f in functions)
        ]


def _class_protocol_name(name: str) -> str:
    # No class of the WIT's has an underscore inside its name.
    return f"_{name}_class"
