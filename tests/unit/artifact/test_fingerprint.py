"""What the cache key depends on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hlwasm.artifact.fingerprint import abi_fingerprint, build_id, cache_key, native_fingerprint
from hlwasm.artifact.options import CompileOptions
from hlwasm.native import _abi


def test_the_key_depends_on_input_and_options() -> None:
    keys = {
        cache_key(source, options)
        for source in ("a", "b")
        for options in (
            CompileOptions(),
            CompileOptions(fuel=True),
            CompileOptions(transfer_bytes=1 << 20),
        )
    }
    assert len(keys) == 6
    assert all(len(key) == 64 for key in keys)
    assert cache_key("a", CompileOptions()) == cache_key("a", CompileOptions())


def test_the_contract_is_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = abi_fingerprint()
    abi_fingerprint.cache_clear()
    monkeypatch.setattr(_abi, "TRANSFER_DATA", _abi.TRANSFER_DATA + 8)
    changed = abi_fingerprint()
    monkeypatch.undo()
    abi_fingerprint.cache_clear()
    assert changed != before
    assert abi_fingerprint() == before


def test_the_build_id_is_the_one_that_readelf_shows() -> None:
    readelf = shutil.which("readelf")
    if readelf is None:
        pytest.skip("readelf is not installed")
    checked = 0
    for library in Path("/usr/lib/x86_64-linux-gnu").glob("libc.so*"):
        shown = subprocess.run([readelf, "-n", library], capture_output=True, text=True).stdout
        found = build_id(library.read_bytes()[: 1 << 16])
        if "Build ID:" in shown:
            assert found is not None
            assert found.hex() in shown
            checked += 1
    assert checked


@pytest.mark.parametrize("head", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + b"\xff" * 58, b"MZ" * 50])
def test_no_build_id(head: bytes) -> None:
    assert build_id(head) is None


def test_a_library_without_build_id_is_hashed(tmp_path: Path) -> None:
    fingerprints = set()
    for content in (b"one" * 50_000, b"one" * 49_999 + b"two"):
        path = tmp_path / "library.so"
        path.write_bytes(content)
        native_fingerprint.cache_clear()
        fingerprints.add(native_fingerprint(str(path)))
    native_fingerprint.cache_clear()
    assert len(fingerprints) == 2


def test_options_are_checked() -> None:
    for wrong in (0, 1000, 1 << 32):
        with pytest.raises(ValueError, match="transfer_bytes"):
            CompileOptions(transfer_bytes=wrong)


def test_a_cold_start_does_not_import_the_compiler() -> None:
    code = (
        "import sys, hlwasm.artifact;"
        "print([m for m in ('wasmtime', 'rich', 'click', 'subprocess') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
