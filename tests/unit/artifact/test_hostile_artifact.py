"""Artifact files of an attacker: complete, with right checksums, and false descriptions.

The description decides what source the codecs are generated from, so whatever it says
must end as an exception of hlwasm, or do no more than the component could do anyway.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.artifact import Artifact, prepare
from hlwasm.artifact.file_format import write_trailer
from hlwasm.artifact.files import memory_file
from hlwasm.cli.missing_imports import stand_ins

Step = str | int
ODD_VALUES: list[Any] = [
    *(None, True, 0, 1, -1, 7, 64, 1 << 31, 1 << 32, 1 << 63, 1 << 70, 1.5),
    *("", "x", "__class__", "import", '"', "{}", "a\n  import os\n", "string", "list"),
    *([], {}, [[]]),
]


@pytest.fixture(scope="module")
def original(component_path: Callable[[str], Path]) -> Iterator[Artifact]:
    with prepare(component_path("calculator")) as artifact:
        yield artifact


def _forge(original: Artifact, description: Any) -> bytes:
    code = os.pread(original.fd, original.code_bytes, 0)
    fd = memory_file("forged", code)
    try:
        write_trailer(fd, len(code), json.dumps(description), original.metadata)
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def _use(artifact: bytes) -> None:
    """Loads it and calls everything that it offers, with several kinds of arguments."""
    component = hlwasm.load(artifact, cache=False)
    with component.instantiate(stand_ins(component.description)) as sandbox:
        for function in component.description.exports:
            owner = sandbox.exports
            call = (owner if function.interface is None else owner[function.interface])[
                function.name
            ]
            for arguments in ((), (1,), (1, 2), ("a",), ([1],)):
                # They need not be its arguments.
                with contextlib.suppress(TypeError, hlwasm.ConversionError):
                    call(*arguments)


def _paths(value: Any, path: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for key in value:
            yield from _paths(value[key], (*path, key))
    elif isinstance(value, list):
        for index in range(len(value)):
            yield from _paths(value[index], (*path, index))


def _set(description: Any, path: tuple[Step, ...], value: Any) -> None:
    for step in path[:-1]:
        description = description[step]
    description[path[-1]] = value


@pytest.mark.hypervisor
def test_the_forged_original_works(original: Artifact) -> None:
    with pytest.raises(hlwasm.UnsupportedImport):
        _use(_forge(original, json.loads(original.description)))


@pytest.mark.hypervisor
def test_text_in_place_of_anything_never_runs(original: Artifact, tmp_path: Path) -> None:
    """Every single value of the description becomes Python code."""
    ran = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(ran)!r}).touch()"
    description = original.description
    for path in list(_paths(json.loads(description))):
        for text in (code, f"0)\n    {code}\n    (0", f'"+{code}+"', f"x'''{code}'''"):
            changed = json.loads(description)
            _set(changed, path, text)
            with contextlib.suppress(hlwasm.HlwasmError):
                _use(_forge(original, changed))
            assert not ran.exists(), path


@pytest.mark.hypervisor
@pytest.mark.parametrize("seed", range(8))
def test_changed_descriptions_end_in_known_errors(original: Artifact, seed: int) -> None:
    choose = random.Random(seed)
    paths = list(_paths(json.loads(original.description)))
    for _ in range(25):
        changed = json.loads(original.description)
        for _ in range(choose.choice((1, 1, 2, 3))):
            # An earlier change may have taken the place away.
            with contextlib.suppress(KeyError, IndexError, TypeError):
                _set(changed, choose.choice(paths), choose.choice(ODD_VALUES))
        with contextlib.suppress(hlwasm.HlwasmError):
            _use(_forge(original, changed))


def test_types_that_double_at_each_level_end(original: Artifact) -> None:
    description = json.loads(original.description)
    first = len(description["types"])
    description["types"].append({"kind": "tuple", "types": ["u8", "u8"]})
    for index in range(first, first + 100):
        description["types"].append({"kind": "tuple", "types": [index, index]})
    description["exports"][0]["params"][0]["type"] = first + 100
    with pytest.raises(hlwasm.HlwasmError):
        _use(_forge(original, description))


def test_deep_json_is_an_artifact_error(original: Artifact) -> None:
    fd = memory_file("deep", b"\x7fELF" + bytes(100))
    write_trailer(fd, 104, "[" * 200_000, original.metadata)
    data = os.pread(fd, os.fstat(fd).st_size, 0)
    os.close(fd)
    with pytest.raises(hlwasm.ArtifactError):
        _ = hlwasm.load(data, cache=False).description
