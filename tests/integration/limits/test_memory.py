"""Memories and tables: what they may have together, from the start and by growing."""

from __future__ import annotations

import pytest

import hlwasm
from hlwasm import Limits
from tests.integration.limits.guest import MIB, PAGE

pytestmark = pytest.mark.hypervisor


def test_memories_end_at_their_total(growing: hlwasm.Component) -> None:
    limits = Limits(memory=4 * MIB, total_memory=6 * MIB)
    with growing.instantiate(limits=limits) as sandbox:
        exports = sandbox.exports
        assert exports.grow_a(63) == 1  # 64 pages: all of `memory`
        assert exports.grow_a(1) == -1
        assert exports.grow_b(32) == -1  # 33 pages: one more than the total leaves
        assert exports.grow_b(31) == 1
        assert exports.grow_b(1) == -1
        exports.touch_b(32 * PAGE - 4)
        with pytest.raises(hlwasm.Trap) as caught:
            exports.touch_b(32 * PAGE)
        assert caught.value.code is hlwasm.TrapCode.MEMORY_OUT_OF_BOUNDS


def test_a_start_beyond_the_total_is_refused(growing: hlwasm.Component) -> None:
    with growing.instantiate(limits=Limits(total_memory=2 * PAGE)) as sandbox:
        assert sandbox.exports.grow_a(1) == -1
        assert sandbox.exports.grow_b(1) == -1
    with pytest.raises(hlwasm.MemoryLimitExceeded, match="131072 bytes of memory in all") as caught:
        growing.instantiate(limits=Limits(total_memory=2 * PAGE - 1))
    assert (caught.value.limit, caught.value.value) == ("total_memory", 2 * PAGE - 1)


def test_many_memories_that_grow_as_far_as_they_can() -> None:
    """Sixteen memories may have a quarter of a GiB each, but not all of them at once."""
    count = 16
    instances = "".join(f"(core instance $i{k} (instantiate $m))" for k in range(count))
    exports = "".join(
        f'(func (export "grow{k}") (result u32) (canon lift (core func $i{k} "grow")))'
        for k in range(count)
    )
    text = f"""(component
      (core module $m (memory 0) (func (export "grow") (result i32)
        (loop $more (br_if $more (i32.ne (memory.grow (i32.const 64)) (i32.const -1))))
        (loop $one (br_if $one (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
        (memory.size)))
      {instances} {exports})"""
    component = hlwasm.load(text.encode(), cache=False)
    with component.instantiate(limits=Limits(total_memory=40 * MIB, memory=16 * MIB)) as sandbox:
        pages = [sandbox.exports[f"grow{k}"]() for k in range(count)]
    assert pages == [256, 256, 128] + [0] * 13


def test_a_table_that_starts_too_large() -> None:
    text = b"""(component
      (core module $m (table 11 funcref) (func (export "grow") (result i32)
        (table.grow (ref.null func) (i32.const 1))))
      (core instance $i (instantiate $m))
      (func (export "grow") (result s32) (canon lift (core func $i "grow"))))"""
    component = hlwasm.load(text, cache=False)
    with component.instantiate(limits=Limits(table_elements=11)) as sandbox:
        assert sandbox.exports.grow() == -1
    with component.instantiate(limits=Limits(table_elements=12)) as sandbox:
        assert sandbox.exports.grow() == 11
        assert sandbox.exports.grow() == -1
    with pytest.raises(hlwasm.TableLimitExceeded, match=r"Limits\(table_elements=…\)") as caught:
        component.instantiate(limits=Limits(table_elements=10))
    assert (caught.value.limit, caught.value.value) == ("table_elements", 10)
