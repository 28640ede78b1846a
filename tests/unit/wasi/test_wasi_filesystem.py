"""wasi:filesystem, as far as programs use it that have no files."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from hlwasm.wasi import WasiHost
from hlwasm.wasi.filesystem import _ERROR_CODES
from hlwasm.wasi.streams import Error


@pytest.fixture
def types() -> Any:
    return WasiHost().interface("wasi:filesystem/types@0.2.6")


def test_no_directories() -> None:
    preopens: Any = WasiHost().interface("wasi:filesystem/preopens@0.2.6")
    assert preopens.get_directories() == []


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, "insufficient-space"),
        (errno.EACCES, "access"),
        (errno.ENOENT, "no-entry"),
        (errno.ECHILD, "io"),  # none of WASI's
    ],
)
def test_error_codes(types: Any, number: int, code: str) -> None:
    assert types.filesystem_error_code(Error("failed", OSError(number, "failed"))) == code


def test_errors_that_are_not_of_files(types: Any) -> None:
    assert types.filesystem_error_code(Error("other")) is None
    assert types.filesystem_error_code(Error("other", OSError("no number"))) is None


def test_every_error_code_of_wasi_is_there() -> None:
    # The enum error-code of wasi:filesystem/types@0.2.12.
    names = """access would-block already bad-descriptor busy deadlock quota exist file-too-large
        illegal-byte-sequence in-progress interrupted invalid io is-directory loop too-many-links
        message-size name-too-long no-device no-entry no-lock insufficient-memory
        insufficient-space not-directory not-empty not-recoverable unsupported no-tty
        no-such-device overflow not-permitted pipe read-only invalid-seek text-file-busy
        cross-device"""
    assert sorted(_ERROR_CODES.values()) == sorted(names.split())
