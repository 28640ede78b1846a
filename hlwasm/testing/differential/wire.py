"""Data as JSON, between this process and the one in which wasmtime runs."""

from __future__ import annotations

from typing import Any

from hlwasm.testing.scripts.data import Case, Data, Handle


def to_json(data: Data) -> Any:
    """What JSON can hold; what it cannot is an object with one key that says what it is."""
    if data is None or isinstance(data, (bool, int, str)):
        return data
    if isinstance(data, float):
        # Python writes NaN and infinities as what other readers refuse.
        return {"float": data.hex()}
    if isinstance(data, bytes):
        return {"bytes": data.hex()}
    if isinstance(data, tuple):
        return {"tuple": [to_json(each) for each in data]}
    if isinstance(data, list):
        return [to_json(each) for each in data]
    if isinstance(data, frozenset):
        return {"flags": sorted(data)}
    if isinstance(data, Case):
        return {"case": [data.name, to_json(data.payload)]}
    if isinstance(data, Handle):
        return {"handle": data.name}
    return {"record": {key: to_json(value) for key, value in data.items()}}


def from_json(value: Any) -> Data:
    """The inverse.

    Raises:
        ValueError: it is nothing that :func:`to_json` wrote.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, list):
        return [from_json(each) for each in value]
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError(f"no data: {value!r}")
    ((kind, inner),) = value.items()
    reader = _READERS.get(kind)
    if reader is None:
        raise ValueError(f"no data: {kind!r}")
    return reader(inner)


_READERS: dict[str, Any] = {
    "float": float.fromhex,
    "bytes": bytes.fromhex,
    "tuple": lambda inner: tuple([from_json(each) for each in inner]),
    "flags": frozenset,
    "case": lambda inner: Case(inner[0], from_json(inner[1])),
    "handle": Handle,
    "record": lambda inner: {key: from_json(each) for key, each in inner.items()},
}
