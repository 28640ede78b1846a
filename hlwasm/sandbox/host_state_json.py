"""The host's side of a snapshot as bytes, for a file.

JSON, because a file may come from anybody: unpickling runs whatever the file says. Only the
makers that objects of the user gave (``__hlwasm_capture__``) are pickled inside it, and they
are unpickled only where the caller trusts the file.

::

    {"resources": {"host": [[type, rep, token], …], "next_rep": n, "fixed": bool,
                   "tokens": [[provider, data] or [null, base64 of a pickle], …]},
     "providers": [state of WASI, …]}

Guest resources are left out: no Python object of another process holds one.
"""

from __future__ import annotations

import base64
import json
import pickle
from typing import Any

from hlwasm.codec.checks import short
from hlwasm.errors import SnapshotError
from hlwasm.sandbox.captured import HostResources
from hlwasm.sandbox.host_state import HostState
from hlwasm.sandbox.resources import REP_LIMIT, TABLE_LIMIT
from hlwasm.text import cut_off
from hlwasm.wit.model import Description, Resource

# Most lists, objects and values in them. Three bytes of JSON can become a hundred of Python's;
# these are counted before anything is made of the text. Enough for 30,000 resources.
ELEMENTS_MAX = 1 << 18


def encode(state: HostState, description: Description) -> bytes:
    """The state as bytes.

    Args:
        description: of the component that the snapshot is of.

    Raises:
        SnapshotError: a maker of an object cannot be pickled, or a host function gave an
            object of WASI as a resource of another type.
    """
    resources = state.resources
    _check_types(resources, description)
    plain = {
        "resources": {
            "host": resources.host,
            "next_rep": resources.next_rep,
            "fixed": resources.fixed,
            "tokens": [_encode_token(*token) for token in resources.tokens],
        },
        # WASI's is the only kind of provider that there is.
        "providers": [provider.as_dict() for provider in state.providers],
    }
    data = json.dumps(plain, separators=(",", ":")).encode()
    if _elements(data) > ELEMENTS_MAX:
        raise SnapshotError(
            f"the guest holds {len(resources.host)} host resources, too many for a snapshot file: "
            "take the snapshot when it holds fewer"
        )
    return data


def _elements(data: bytes) -> int:
    return data.count(b"[") + data.count(b"{") + data.count(b",")


def _encode_token(provider: int | None, data: Any) -> list[Any]:
    if provider is not None:
        return [provider, data]
    try:
        pickled = pickle.dumps(data)
    except Exception as error:  # whatever the user's own __reduce__ raises
        raise SnapshotError(
            f"{data!r} makes a host resource again, and cannot be pickled for a file: {error}"
        ) from error
    return [None, base64.b64encode(pickled).decode()]


def decode(data: bytes, description: Description, *, trusted: bool = False) -> HostState:
    """What :func:`encode` made, checked.

    Args:
        data: the bytes; the caller bounds their number.
        description: of the component that the snapshot is of.
        trusted: whether objects of the user may be unpickled, which runs code of the file's
            choice.

    Raises:
        SnapshotError: the bytes are damaged, or need ``trusted``.
    """
    from hlwasm.wasi.snapshot import WasiState

    if _elements(data) > ELEMENTS_MAX or not data.isascii():
        raise _damaged("it has too many parts, or other characters than ASCII")
    try:
        match json.loads(data):
            case {"resources": dict(resources), "providers": [*providers]}:
                states = tuple([WasiState.from_plain(each) for each in providers])
                return HostState(_resources(resources, len(states), description, trusted), states)
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"the snapshot's state of the host is damaged: {error}") from error
    raise _damaged("its parts are missing")


def _damaged(what: str) -> SnapshotError:
    return SnapshotError(f"the snapshot's state of the host is damaged: {what}")


def _resources(
    plain: dict[str, Any], providers: int, description: Description, trusted: bool
) -> HostResources:
    match plain:
        case {
            "host": [*host],
            "next_rep": int(next_rep),
            "fixed": bool(fixed),
            "tokens": [*tokens],
        } if len(host) <= TABLE_LIMIT and 0 < next_rep < REP_LIMIT:
            entries = tuple([_entry(each, len(tokens), description) for each in host])
            if len({(kind, rep) for kind, rep, _ in entries}) != len(entries):
                raise _damaged("a resource is there twice")
            if {index for _, _, index in entries} != set(range(len(tokens))):
                raise _damaged("a token belongs to no resource")
            made = tuple([_token(each, providers, trusted) for each in tokens])
            # What the user makes has state, whatever the file says.
            fixed = fixed and all(provider is not None for provider, _ in made)
            decoded = HostResources(entries, made, fixed, next_rep)
            _check_types(decoded, description)
            return decoded
    raise _damaged("the table of resources")


def _check_types(resources: HostResources, description: Description) -> None:
    """What WASI makes stands for resources of WASI, each for its own type: host functions are
    called without another look at them.
    """
    from hlwasm.wasi.snapshot import stands_for

    for kind, _, index in resources.host:
        provider, data = resources.tokens[index]
        resource = description.types[kind]
        if provider is not None and not stands_for(data, resource.interface, resource.name):
            name = resource.name or "resource"
            raise SnapshotError(f"an object of WASI cannot stand for a {name} in a snapshot file")


def _entry(plain: object, tokens: int, description: Description) -> tuple[int, int, int]:
    types = description.types
    match plain:
        case [int(kind), int(rep), int(token)] if (
            0 <= kind < len(types) and 0 < rep < REP_LIMIT and 0 <= token < tokens
        ):
            resource = types[kind]
            if isinstance(resource, Resource) and resource.side == "host":
                return kind, rep, token
    raise _damaged("a resource that this component does not have")


def _token(plain: object, providers: int, trusted: bool) -> tuple[int | None, Any]:
    match plain:
        case [int(provider), data] if 0 <= provider < providers:
            return provider, data
        case [None, str(pickled)]:
            if not trusted:
                raise SnapshotError(
                    "the snapshot has objects of host functions in it, and making them runs "
                    "code of the file's choice: load it as trusted if you know who wrote it"
                )
            return None, _unpickled(pickled)
    raise _damaged("how to make a resource")


def _unpickled(text: str) -> Any:
    try:
        make = pickle.loads(base64.b64decode(text, validate=True))
    except Exception as error:  # whatever a class that has changed since raises
        reason = cut_off(str(error))
        raise SnapshotError(f"an object of the snapshot cannot be unpickled: {reason}") from error
    if not callable(make):
        raise _damaged(f"{short(make)} makes no resource")
    return make
