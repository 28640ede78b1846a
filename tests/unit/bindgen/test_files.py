"""Generated files on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hlwasm.bindgen.files import NotGenerated, differences, write
from hlwasm.bindgen.package import MARK

ONE = {"__init__.py": f"{MARK}\nx = 1\n", "a.py": f"{MARK}\ny = 1\n"}
TWO = {"__init__.py": f"{MARK}\nx = 2\n", "b.py": f"{MARK}\nz = 1\n"}


def present(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_what_is_missing_or_differs_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "package"
    assert write(ONE, folder) == [folder / "__init__.py", folder / "a.py"]
    assert present(folder) == ONE
    assert write(ONE, folder) == []
    (folder / "a.py").write_text(f"{MARK}\nedited\n")
    assert write(ONE, folder) == [folder / "a.py"]


def test_unchanged_files_keep_their_time(tmp_path: Path) -> None:
    write(ONE, tmp_path)
    os.utime(tmp_path / "a.py", (1, 1))
    write({**ONE, "__init__.py": TWO["__init__.py"]}, tmp_path)
    assert (tmp_path / "a.py").stat().st_mtime == 1


def test_generated_files_that_are_no_more_are_removed_and_no_others(tmp_path: Path) -> None:
    write(ONE, tmp_path)
    others = {
        "own.py": "x = 1\n",
        "close.py": f" {MARK}\n",
        "py.typed": "",
        "notes.txt": f"{MARK}\n",
        "binary.py": "\udcff\x00",
    }
    for name, text in others.items():
        (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.py").write_text(ONE["a.py"])
    assert set(write(TWO, tmp_path)) == {
        tmp_path / "__init__.py", tmp_path / "b.py", tmp_path / "a.py",
    }  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {*TWO, *others, "sub"}
    assert (tmp_path / "sub" / "a.py").read_text() == ONE["a.py"]


def test_a_file_of_the_users_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("mine = 1\n")
    with pytest.raises(NotGenerated, match=r"a\.py was not generated") as caught:
        write(ONE, tmp_path)
    assert caught.value.path == tmp_path / "a.py"
    assert present(tmp_path) == {"a.py": "mine = 1\n"}, "and nothing else was written"
    write(ONE, tmp_path, force=True)
    assert present(tmp_path) == ONE


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target.py"
    target.write_text(f"{MARK}\nold\n")
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "a.py").symlink_to(target)
    write(ONE, folder)
    assert target.read_text() == f"{MARK}\nold\n"
    assert not (folder / "a.py").is_symlink()


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ONE, tmp_path)

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fchmod", fail)
    with pytest.raises(OSError, match="no space"):
        write({"a.py": f"{MARK}\nnew\n", "__init__.py": ONE["__init__.py"]}, tmp_path)
    assert present(tmp_path) == ONE


def test_files_have_the_usual_permissions(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(ONE, tmp_path)
    finally:
        os.umask(before)
    assert (tmp_path / "a.py").stat().st_mode & 0o777 == 0o640


def test_differences_are_a_unified_diff(tmp_path: Path) -> None:
    assert differences({}, tmp_path / "missing") == []
    write(ONE, tmp_path)
    assert differences(ONE, tmp_path) == []
    lines = differences(TWO, tmp_path)
    assert lines[0] == f"--- {tmp_path / '__init__.py'}"
    assert "-x = 1" in lines and "+x = 2" in lines
    assert f"+++ {tmp_path / 'b.py'} (generated)" in lines and "+z = 1" in lines
    assert f"--- {tmp_path / 'a.py'}" in lines and "-y = 1" in lines
    assert present(tmp_path) == ONE
    (tmp_path / "a.py").write_bytes(b"\xff")
    assert "-\udcff" in differences(ONE, tmp_path)


def test_differences_see_ends_of_lines(tmp_path: Path) -> None:
    write(ONE, tmp_path)
    (tmp_path / "a.py").write_text(ONE["a.py"].rstrip("\n"))
    assert differences(ONE, tmp_path) != []
    (tmp_path / "a.py").write_bytes(ONE["a.py"].replace("\n", "\r\n").encode())
    assert differences(ONE, tmp_path) != []
