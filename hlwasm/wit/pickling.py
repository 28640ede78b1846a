"""Pickles of values whose classes are made at run time.

Such a class has no module to be imported from, so a pickle names the component and the type,
and the class is looked up among the components that are loaded where it is unpickled::

    identity   of the component's contents (SHA-256), or of a world's text
    token      of the description in the process that pickled, to find the very same class
               there again, where a component was loaded twice
    name       interface#type in WIT
    index      of the type in the description, where several types have the name

Unpickling makes values of plain data and runs nothing of the component.
"""

from __future__ import annotations

import os
from typing import Any, TypeAlias, cast

from hlwasm.errors import ComponentNotLoaded
from hlwasm.wit.model import Description, living_descriptions
from hlwasm.wit.names import upper_camel_case

#: Identity, token, name and index.
TypeKey: TypeAlias = "tuple[str, str, str, int]"


def key_of(cls: Any) -> TypeKey:
    """What stands for a generated class, as plain data."""
    description, index = cls.__wit_type__
    return _identity(description), _token(description), cls.__wit_name__, index


def restore_record(key: TypeKey, values: tuple[Any, ...]) -> Any:
    """Makes a record of its fields' values."""
    return _class_of(key)(*values)


def restore_case(key: TypeKey, case: str, values: tuple[Any, ...]) -> Any:
    """Makes a variant of its case's WIT name and payload."""
    return getattr(_class_of(key), upper_camel_case(case))(*values)


def restore_enum(key: TypeKey, value: str) -> Any:
    """Finds the member of an enum."""
    return _class_of(key)(value)


def restore_flags(key: TypeKey, bits: int) -> Any:
    """Makes a combination of flags."""
    return _class_of(key).from_bits(bits)


def _class_of(key: TypeKey) -> Any:
    """Finds the class.

    Raises:
        ComponentNotLoaded: no component that is loaded has it, or it is no such key.
    """
    if not _is_key(key):
        # Pickles can be made by anybody, of anything.
        raise ComponentNotLoaded("this is no pickle of a value of a component: its key is damaged")
    identity, token, name, index = key
    for description in _loaded(identity, token):
        # Another version of hlwasm may number the types otherwise.
        for each in dict.fromkeys([index, *range(len(description.types))]):
            if _is_class(description, each, name):
                return description.python_type(each)
    raise ComponentNotLoaded(
        f"this is a value of {name}, a type of a component that is not loaded here "
        f"(SHA-256 {identity}): load it with hlwasm.load, and keep it, before unpickling",
        name,
        identity,
    )


def _is_key(key: object) -> bool:
    if type(key) is not tuple or len(key) != 4:
        return False
    return all(type(part) is str for part in key[:3]) and type(key[3]) is int


def _loaded(identity: str, token: str) -> list[Description]:
    """The components with these contents; the one that the pickle is from comes first."""
    found = [each for each in living_descriptions() if _identity(each) == identity]
    return sorted(found, key=lambda each: _token(each) != token)


def _is_class(description: Description, index: int, name: str) -> bool:
    if not 0 <= index < len(description.types):
        return False
    return description.has_python_type(index) and description.types[index].wit_name == name


def _identity(description: Description) -> str:
    found = description.cache.get("identity")
    if found is None:
        from hlwasm.artifact.hashing import new_sha256

        # A world that no component was loaded for: its text says all.
        text = f"{description.world}\n{description.wit}\n{[*description.types]}"
        # The documentation of any component in the process may have lone surrogates.
        data = text.encode("utf-8", "surrogatepass")
        found = description.cache["identity"] = new_sha256(data).hexdigest()
    return cast(str, found)


def _token(description: Description) -> str:
    made: str = description.cache.setdefault("token", os.urandom(8).hex())
    return made
