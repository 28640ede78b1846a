"""Small and large inputs are hashed by different modules, to the same hashes."""

from __future__ import annotations

import hashlib

import pytest

from hlwasm.artifact import hashing
from hlwasm.artifact.hashing import new_sha256


@pytest.mark.parametrize("size", [0, 1, 1000, (1 << 19) - 1, 1 << 19, (1 << 19) + 1])
def test_it_is_sha256(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert new_sha256(data).hexdigest() == hashlib.sha256(data).hexdigest()
    digest = new_sha256(size=size)
    digest.update(data[:7])
    digest.update(data[7:])
    assert digest.hexdigest() == hashlib.sha256(data).hexdigest()


def test_a_python_without_the_small_module(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "_MODULES", ("no_such_module", "hashlib"))
    assert new_sha256(b"a").hexdigest() == hashlib.sha256(b"a").hexdigest()
