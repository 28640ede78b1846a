"""WIT as an input: files of a package become the description of one of its worlds.

The description is what a component of the world has that uses all of it; it has no
memories, and cannot be instantiated.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hlwasm.errors import InvalidWit, UnsupportedItem
from hlwasm.native.library import WitPackage, describe_wit, print_wit
from hlwasm.regular_file import read_regular
from hlwasm.wit.clashes import name_clashes
from hlwasm.wit.model import Description

# The native half allows less for all files together.
_FILE_BYTES_MAX = 4 << 20
_FILES_MAX = 1000
_BINARY = b"\0asm"
_BINARY_NAMES = (".wasm", ".wat")


def read_wit(path: str | os.PathLike[str], world: str | None = None) -> Description:
    """Reads WIT files and describes a world.

    Args:
        path: a file that is a whole package, as text or in binary form (``.wasm``, as
            ``wasm-tools component wit --wasm`` and ``wkg`` make it, or ``.wat``); or a folder
            whose ``*.wit`` files are one, with the packages that it uses in its folder
            ``deps``: each a file of either form, or a folder of ``*.wit`` files.
        world: its name, or with its package: ``wasi:cli/command@0.2.0``. It may be left out
            where the package has one world. A package that has interfaces but no world gets
            a world ``interfaces`` that exports them all.

    Raises:
        OSError: a file cannot be read.
        InvalidWit: it is not WIT, uses what does not exist, or has no such world.
        UnsupportedItem: the world has an item that hlwasm does not run, or names that
            become one in Python.
    """
    root = Path(path)
    if not root.is_dir():
        return _describe(str(root), _file(root), [], world)
    main, dependencies = _folder(root), list(_dependencies(root / "deps"))
    if not main:
        raise InvalidWit(f"there is no .wit file in this folder{_other_form(root)}", str(root))
    count = len(main) + sum(len(files) for files in dependencies)
    if count > _FILES_MAX:
        raise InvalidWit(f"there are {count} files, and the limit is {_FILES_MAX}", str(root))
    packages = [
        # Only a package of one file can be in binary form.
        _file(files[0]) if len(files) == 1 else _text(files)
        for files in dependencies
    ]
    return _describe(str(root), _text(main), packages, world)


def parse_wit(text: str | bytes, world: str | None = None) -> Description:
    """Describes a world of a package that is given.

    Args:
        text: all of the package. Other packages that it uses can be written in it, as
            ``package a:b { … }``. Bytes are a package in binary form.
        world: see :func:`read_wit`.

    Raises:
        InvalidWit, UnsupportedItem: see :func:`read_wit`.

    Example:
        >>> from hlwasm.wit.sources import parse_wit
        >>> description = parse_wit('''package demo:ops;
        ... world calculator { export add: func(a: s32, b: s32) -> s32; }''')
        >>> description.world
        'demo:ops/calculator'
    """
    if isinstance(text, bytes):
        return _describe("<bytes>", ("<bytes>", text), [], world)
    return _describe("<text>", [("<text>", text)], [], world)


def package_text(package: str | os.PathLike[str] | bytes) -> str:
    """The text of a package in binary form, with the parts of other packages that it uses.

    Args:
        package: its file, or what is in that.

    Raises:
        OSError: the file cannot be read.
        InvalidWit: it is no such package.
        UnsupportedItem: it has what WIT cannot express.
    """
    if isinstance(package, bytes):
        return print_wit("<bytes>", package)
    path = Path(package)
    return print_wit(str(path), _read(path))


def _describe(
    name: str, main: WitPackage, dependencies: list[WitPackage], world: str | None
) -> Description:
    description = Description.from_json(describe_wit(name, main, dependencies, world))
    if clashes := name_clashes(description):
        raise UnsupportedItem(f"{name}: {'; '.join(clashes)}; rename one", clashes[0])
    return description


def _folder(path: Path) -> list[Path]:
    return sorted(each for each in path.iterdir() if each.suffix == ".wit" and not each.is_dir())


def _other_form(folder: Path) -> str:
    """What to do where a folder has packages in binary form only."""
    names = sorted(each.name for each in folder.iterdir() if each.suffix in _BINARY_NAMES)
    if not names:
        return ""
    which = names[0] if len(names) == 1 else f"one of {', '.join(names)}"
    return f": a package in binary form is one file, so give {which} itself"


def _dependencies(path: Path) -> Iterator[list[Path]]:
    if not path.is_dir():
        return
    for each in sorted(path.iterdir()):
        if each.is_dir():
            # Without WIT it is something else: `.git`, for example.
            if files := _folder(each):
                yield files
        elif each.suffix in (".wit", *_BINARY_NAMES):
            yield [each]


def _file(path: Path) -> WitPackage:
    """A package that is one file, in either form."""
    data = _read(path)
    if data.startswith(_BINARY) or path.suffix in _BINARY_NAMES:
        return str(path), data
    return [(str(path), _decode(path, data))]


def _text(paths: list[Path]) -> WitPackage:
    """A package that is text, in several files."""
    return [(str(path), _decode(path, _read(path))) for path in paths]


def _read(path: Path) -> bytes:
    data = read_regular(path, _FILE_BYTES_MAX)
    if len(data) > _FILE_BYTES_MAX:
        raise InvalidWit(f"the file has more than {_FILE_BYTES_MAX} bytes", str(path))
    return data


def _decode(path: Path, data: bytes) -> str:
    if data.startswith(_BINARY):
        raise InvalidWit(
            "this is WebAssembly, and the other files of the package are text: a package in "
            "binary form is one file",
            str(path),
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidWit(f"line {line} is not UTF-8", str(path), line) from None
