"""WIT names to Python names, by the same rules as componentize-py.

======================  =======================
``get-random-bytes``    ``get_random_bytes`` (functions, parameters, fields)
``input-stream``        ``InputStream`` (types, variant cases)
``dark-blue``           ``DARK_BLUE`` (enum members, flags)
``from``                ``from_`` (a keyword gets an underscore)
``drop`` of a resource  ``drop_`` (``drop`` is what all guest resources have)
======================  =======================

Few WIT names become one Python name: see :mod:`hlwasm.wit.clashes`. Names reach generated
source, so whatever is no WIT name is refused here.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from hlwasm.frozen import Frozen

_KEBAB = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z0-9]+)*\Z")
_SPECIAL = re.compile(r"\[(method|static|constructor)\](.+)\Z", re.DOTALL)
_INTERFACE = re.compile(
    r"(?P<namespace>[^:/@]+):(?P<package>[^/@]+)/(?P<name>[^/@]+)(?:@(?P<version>.+))?\Z", re.DOTALL
)

# Members of the Python classes of resources.
_RESERVED_MEMBERS = frozenset(["drop"])

FunctionKind = Literal["function", "method", "static", "constructor"]


class NotAWitName(ValueError):
    """The text is no kebab-case WIT name."""


class FunctionName(Frozen):
    """A function's WIT name in its parts; ``resource`` is None for a plain function."""

    kind: FunctionKind
    resource: str | None
    name: str


class InterfaceName(Frozen):
    """``namespace:package/name@version`` in its parts; a bare name has only ``name``."""

    namespace: str
    package: str
    name: str
    version: str

    def __str__(self) -> str:
        if not self.package:
            return self.name
        text = f"{self.namespace}:{self.package}/{self.name}"
        return f"{text}@{self.version}" if self.version else text


def _words(name: str) -> list[str]:
    if not _KEBAB.match(name):
        raise NotAWitName(f"{name!r} is not a WIT name")
    return name.lower().split("-")


@lru_cache(maxsize=4096)
def snake_case(name: str) -> str:
    """The Python name of a function, parameter or field.

    Raises:
        NotAWitName: ``name`` is not kebab-case.
    """
    python = "_".join(_words(name))
    return python + "_" if keyword.iskeyword(python) else python


@lru_cache(maxsize=4096)
def upper_camel_case(name: str) -> str:
    """The Python name of a type or variant case.

    Raises:
        NotAWitName: ``name`` is not kebab-case.
    """
    python = "".join([word.capitalize() for word in _words(name)])
    return python + "_" if keyword.iskeyword(python) else python


@lru_cache(maxsize=4096)
def upper_snake_case(name: str) -> str:
    """The Python name of an enum member or flag.

    Raises:
        NotAWitName: ``name`` is not kebab-case.
    """
    return "_".join(_words(name)).upper()


def parse_function_name(name: str) -> FunctionName:
    """Splits ``[method]stream.read`` and its like.

    >>> parse_function_name("[method]input-stream.read")
    FunctionName(kind='method', resource='input-stream', name='read')
    >>> parse_function_name("[constructor]blob")
    FunctionName(kind='constructor', resource='blob', name='blob')
    """
    match = _SPECIAL.match(name)
    if match is None:
        return FunctionName("function", None, name)
    kind, rest = match.groups()
    if kind == "constructor":
        return FunctionName("constructor", rest, rest)
    resource, dot, method = rest.partition(".")
    if not dot:
        raise NotAWitName(f"{name!r} does not name a resource and a function")
    return FunctionName("method" if kind == "method" else "static", resource, method)


@lru_cache(maxsize=1024)
def python_function_name(name: str) -> str:
    """The Python name of a function, method or static; a constructor's is its class's.

    A name that is no WIT name (exports of bare core modules may be any text) is made an
    identifier by putting underscores for what Python does not allow.
    """
    parsed = parse_function_name(name)
    if parsed.kind == "constructor":
        return upper_camel_case(parsed.name)
    try:
        python = snake_case(parsed.name)
    except NotAWitName:
        python = identifier(parsed.name)
    reserved = parsed.kind != "function" and python in _RESERVED_MEMBERS
    return python + "_" if reserved else python


@lru_cache(maxsize=1024)
def identifier(text: str) -> str:
    """An ASCII identifier that resembles ``text``."""
    python = re.sub(r"[^A-Za-z0-9_]", "_", text)
    if not python or python[0].isdigit():
        python = "_" + python
    return python + "_" if keyword.iskeyword(python) else python


@lru_cache(maxsize=1024)
def parse_interface_name(name: str) -> InterfaceName:
    """Splits ``wasi:io/streams@0.2.0``; a plain name comes back in ``name``."""
    match = _INTERFACE.match(name)
    if match is None:
        return InterfaceName("", "", name, "")
    return InterfaceName(
        match["namespace"], match["package"], match["name"], match["version"] or ""
    )


def interface_attributes(names: Iterable[str]) -> dict[str, str]:
    """Python names for interfaces: the shortest that stands for one of them only.

    >>> interface_attributes(["demo:calc/ops@1.0.0", "demo:units/areas@1.0.0"])
    {'demo:calc/ops@1.0.0': 'ops', 'demo:units/areas@1.0.0': 'areas'}
    >>> interface_attributes(["demo:calc/ops@1.0.0", "demo:sums/ops@1.0.0"])
    {'demo:calc/ops@1.0.0': 'calc_ops', 'demo:sums/ops@1.0.0': 'sums_ops'}
    >>> interface_attributes(["demo:calc/ops@1.0.0", "demo:calc/ops@2.0.0"])
    {'demo:calc/ops@1.0.0': 'ops_1_0_0', 'demo:calc/ops@2.0.0': 'ops_2_0_0'}
    """
    # In the order of length: with package, with namespace, with version, with everything.
    forms = {name: _interface_forms(name) for name in dict.fromkeys(names)}
    found: dict[str, str] = {}
    for level in range(6):
        wanted: dict[str, list[str]] = {}
        for name, candidates in forms.items():
            if name not in found:
                wanted.setdefault(candidates[level], []).append(name)
        taken = {*found.values()}
        for attribute, those in wanted.items():
            if len(those) == 1 and attribute not in taken:
                found[those[0]] = attribute
    return {name: found[name] for name in forms if name in found}


def _interface_forms(name: str) -> list[str]:
    base, _, version = name.partition("@")
    parsed = parse_interface_name(base)
    short = base.rpartition("/")[2]
    forms = [short, f"{parsed.package} {short}", f"{parsed.namespace} {parsed.package} {short}"]
    return [identifier(form.strip()) for form in (*forms, *(f"{f} {version}" for f in forms))]
