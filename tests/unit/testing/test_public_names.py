"""The names of ``hlwasm.testing``, which are imported at first use."""

from __future__ import annotations

import subprocess
import sys

import pytest

import hlwasm.testing


def test_every_public_name_exists() -> None:
    assert sorted(hlwasm.testing._MODULES) == sorted(hlwasm.testing.__all__)
    for name in hlwasm.testing.__all__:
        assert getattr(hlwasm.testing, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Fakery'"):
        _ = hlwasm.testing.Fakery


def test_importing_it_imports_nothing_else() -> None:
    code = """
import sys
before = {*sys.modules}
import hlwasm.testing
print(*{*sys.modules} - before)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert set(done.stdout.split()) == {"hlwasm", "hlwasm.testing", "__future__"}
