"""Sandboxes that are kept between tests, without pytest around them."""

from __future__ import annotations

import pytest

import hlwasm
from hlwasm.testing import Fakes
from hlwasm.testing.kept import MOST_KEPT, KeptSandboxes
from tests.integration.conftest import Load
from tests.machines import machines

pytestmark = pytest.mark.hypervisor


def test_no_more_are_kept_than_there_may_be(load: Load) -> None:
    component = load("calculator")
    kept = KeptSandboxes()
    before = machines()
    for number in range(MOST_KEPT + 3):
        limits = hlwasm.Limits(memory=(number + 20) << 16)
        kept.give_back(kept.take(component, Fakes(component), None, limits))
    assert machines() == before + MOST_KEPT
    kept.close()
    assert machines() == before


def test_grants_of_wasi_are_not_mixed_up(load: Load) -> None:
    program = load("wasi_program_py")
    kept = KeptSandboxes()
    for _ in range(2):
        for word in (b"one", b"two"):
            written: list[bytes] = []
            grants = hlwasm.Wasi(args=["program", "upper"], stdin=word, stdout=written.append)
            sandbox = kept.take(program, Fakes(program), grants, None)
            assert sandbox.run() == 0
            kept.give_back(sandbox)
            assert b"".join(written).strip() == word.upper()
    kept.close()


def test_what_a_test_left_in_the_hosts_tables_is_closed(load: Load) -> None:
    component = load("kitchen_sink")
    kept = KeptSandboxes()
    fakes = Fakes(component)
    sandbox = kept.take(component, fakes, None, None)
    thing = sandbox.exports.things.Thing("x")
    assert len(fakes.things.Thing.live()) == 1
    kept.give_back(sandbox)
    assert fakes.things.Thing.live() == []
    again = kept.take(component, Fakes(component), None, None)
    assert again is sandbox
    with pytest.raises(hlwasm.WitValueError, match="restored away"):
        thing.label()
    kept.give_back(again)
    kept.close()


def test_an_array_that_a_test_left_costs_the_sandbox_and_no_error(load: Load) -> None:
    component = load("kitchen_sink")
    kept = KeptSandboxes()
    sandbox = kept.take(component, Fakes(component), None, None)
    left = hlwasm.view(sandbox.exports.echo.echo_list_u8, b"abc").__enter__()[1:]
    kept.give_back(sandbox)
    assert sandbox.status is hlwasm.Status.CLOSED
    assert bytes(left) == b"bc"
    other = kept.take(component, Fakes(component), None, None)
    assert other is not sandbox
    kept.give_back(other)
    kept.close()
