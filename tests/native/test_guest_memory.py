"""Linear memories: windows, initial contents, growth, limits."""

from __future__ import annotations

import pytest

from hlwasm.native import _abi
from tests.native.composed import BRIDGE_PAGES, component, component_without_imports
from tests.native.guest import BRIDGE_BYTES, MIB, guest, running

pytestmark = pytest.mark.hypervisor

PAGE = 65536


def check(condition: str) -> str:
    """Wasm text that traps unless the condition holds."""
    return f"(if (i32.eqz {condition}) (then unreachable))"


def test_each_bridge_has_its_window_and_the_host_sees_it() -> None:
    body = '(memory 1) (func (export "f0") (drop (call $host_call (i32.const 3) (i32.const 64))))'
    # The import bridge marks its memory when it forwards a call.
    mark = "(i32.store (i32.const 64) (i32.const 0x11223344))"
    wat = component(body).replace("(call $call", f"{mark} (call $call")
    with running(wat) as it:
        imports, exports = it.native.window(0), it.native.window(1)
        assert len(imports) == len(exports) == BRIDGE_BYTES
        seen: list[bytes] = []

        def host(function: int, pointer: int) -> int:
            seen.append(bytes(imports[pointer : pointer + 4]))
            return 0

        assert it.call(host=host).ok
        assert seen == [bytes.fromhex("44332211")]
        assert not any(exports[64:])


def test_what_the_host_writes_into_the_export_window_the_bridge_reads() -> None:
    body = '(func (export "f0"))'
    wat = component(body).replace(
        '(func $run0 (export "call0")',
        '(func $run0 (export "call0") (i32.store (i32.const 68)'
        " (i32.add (i32.load (i32.const 64)) (i32.const 1)))",
    )
    with running(wat) as it:
        window = it.native.window(1)
        window[64:68] = (41).to_bytes(4, "little")
        assert it.call().ok
        assert int.from_bytes(window[68:72], "little") == 42


SMALL, LARGE = 5000, 200_000


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["copied", "mapped"])
def test_data_segments_are_there_and_private_to_each_instance(size: int) -> None:
    data = "ABCDEFGHIJ" * (size // 10)
    last = 4096 + size - 1
    body = f"""(memory 16) (data (i32.const 4096) "{data}")
      (func (export "f0")
        {check("(i32.eq (i32.load8_u (i32.const 4096)) (i32.const 65))")}
        {check(f"(i32.eq (i32.load8_u (i32.const {last})) (i32.const 74))")}
        {check(f"(i32.eqz (i32.load8_u (i32.const {last + 1})))")}
        {check("(i32.eqz (i32.load8_u (i32.const 4095)))")}
        {check("(i32.eqz (i32.load8_u (i32.const 1048575)))")}
        (memory.fill (i32.const 0) (i32.const 1) (i32.const 1048576)))"""
    with guest(component(body)) as it:
        for _ in range(3):
            assert it.load().ok
            assert it.instantiate().ok
            assert it.call().ok
            assert it.call().trap == _abi.TRAP_UNREACHABLE, "the first call changed the data"


def test_few_exits_are_spent_on_load_and_instantiate() -> None:
    small = component(f'(memory 2) (data (i32.const 0) "{"x" * SMALL}") (func (export "f0"))')
    with guest(small) as it:
        with it.exits(2):  # trap entry, ready
            assert it.load().ok
        with it.exits(2):  # protect, ready
            assert it.instantiate().ok
        with it.exits(1):
            assert it.call().ok
    large = component(f'(memory 8) (data (i32.const 0) "{"x" * LARGE}") (func (export "f0"))')
    with guest(large) as it:
        with it.exits(2):  # trap entry, ready
            assert it.load().ok
        with it.exits(3):  # protect, image, ready
            assert it.instantiate().ok


_GROW = f"""(memory 1 100)
  (func (export "f0")
    {check("(i32.eq (memory.size) (i32.const 1))")}
    {check("(i32.eq (memory.grow (i32.const 0)) (i32.const 1))")}
    {check("(i32.eq (memory.grow (i32.const 1)) (i32.const 1))")}
    {check(f"(i32.eqz (i32.load (i32.const {PAGE})))")}
    (i32.store (i32.const {2 * PAGE - 4}) (i32.const 7))
    {check("(i32.eq (memory.grow (i32.const 14)) (i32.const 2))")}
    {check("(i32.eq (memory.size) (i32.const 16))")}
    {check(f"(i32.eqz (i32.load (i32.const {16 * PAGE - 4})))")}
    (i32.store (i32.const {16 * PAGE - 4}) (i32.const 9))
    {check("(i32.eq (memory.grow (i32.const 1)) (i32.const -1))")}
    {check("(i32.eq (memory.grow (i32.const 0x7fffffff)) (i32.const -1))")}
    {check("(i32.eq (memory.grow (i32.const -1)) (i32.const -1))")}
    {check("(i32.eq (memory.size) (i32.const 16))")}
    {check(f"(i32.eq (i32.load (i32.const {2 * PAGE - 4})) (i32.const 7))")})
  (func (export "f1") (drop (i32.load (i32.const {16 * PAGE}))))
"""


def test_memory_grows_to_the_capacity_and_not_beyond() -> None:
    with running(component(_GROW, 2), calls=2) as it:
        with it.exits(1 + 2):
            assert it.call(0).ok
        assert it.call(1).trap == _abi.TRAP_MEMORY_OUT_OF_BOUNDS


def test_a_new_instance_starts_small_and_empty() -> None:
    with running(component(_GROW, 2), calls=2) as it:
        for _ in range(3):
            assert it.call(0).ok
            assert it.instantiate(2).ok


def test_growth_stops_at_the_declared_maximum() -> None:
    body = f"""(memory 1 3) (func (export "f0")
      {check("(i32.eq (memory.grow (i32.const 3)) (i32.const -1))")}
      {check("(i32.eq (memory.grow (i32.const 2)) (i32.const 1))")}
      {check("(i32.eq (memory.grow (i32.const 1)) (i32.const -1))")})"""
    with running(component(body)) as it:
        assert it.call().ok


def test_an_empty_memory_may_grow_while_it_is_instantiated() -> None:
    body = f"""(memory 0)
      (func $start {check("(i32.eqz (memory.grow (i32.const 3)))")}
        {check("(i32.eq (memory.grow (i32.const 14)) (i32.const -1))")}
        (i32.store (i32.const {3 * PAGE - 4}) (i32.const 5)))
      (start $start)
      (func (export "f0")
        {check(f"(i32.eq (i32.load (i32.const {3 * PAGE - 4})) (i32.const 5))")})"""
    with running(component(body)) as it:
        assert it.call().ok


def test_several_memories_each_with_its_own_limit() -> None:
    body = f"""(memory $a 1) (memory $b 2)
      (data (memory $b) (i32.const {PAGE}) "b")
      (func (export "f0")
        {check("(i32.eq (memory.grow $a (i32.const 16)) (i32.const -1))")}
        {check("(i32.eq (memory.grow $a (i32.const 15)) (i32.const 1))")}
        {check("(i32.eq (memory.grow $b (i32.const 31)) (i32.const -1))")}
        {check("(i32.eq (memory.grow $b (i32.const 30)) (i32.const 2))")}
        (memory.fill $a (i32.const 0) (i32.const 1) (i32.const {16 * PAGE}))
        {check(f"(i32.eq (i32.load8_u $b (i32.const {PAGE})) (i32.const 98))")}
        {check("(i32.eqz (i32.load8_u $b (i32.const 0)))")})"""
    with running(component(body), windows=(BRIDGE_BYTES, BRIDGE_BYTES, MIB, 2 * MIB)) as it:
        assert it.call().ok


def test_a_memory_that_starts_too_large_is_refused_with_numbers() -> None:
    with guest(component('(memory 17) (func (export "f0"))')) as it:
        assert it.load().ok
        ended = it.instantiate()
        assert ended.status == _abi.STATUS_LIMIT
        assert f"{17 * PAGE} bytes" in ended.message
        assert f"`memory` allows {MIB}" in ended.message
        # Nothing is left behind.
        assert it.call().status == _abi.STATUS_ERROR
        assert it.instantiate().status == _abi.STATUS_LIMIT


def test_more_memories_than_windows_are_refused() -> None:
    body = '(memory 1) (memory 1) (memory 1) (func (export "f0"))'
    with guest(component(body)) as it:
        assert it.load().values[0] == 5
        ended = it.instantiate()
        assert ended.status == _abi.STATUS_LIMIT
        assert "2" in ended.message


def test_tables_have_a_limit() -> None:
    body = f"""(table $t 10 funcref) (func (export "f0")
      {check("(i32.eq (table.grow $t (ref.null func) (i32.const 90)) (i32.const 10))")}
      {check("(i32.eq (table.grow $t (ref.null func) (i32.const 1)) (i32.const -1))")})"""
    with guest(component(body)) as it:
        assert it.load().ok
        assert it.instantiate(tables=100).ok
        assert it.call().ok
        ended = it.instantiate(tables=9)
        assert ended.status == _abi.STATUS_LIMIT
        assert "10 elements" in ended.message
        assert "`table_elements` allows 9" in ended.message


def test_without_imports_there_is_no_import_window() -> None:
    body = '(memory 4 4) (func (export "f0") (i32.store (i32.const 64) (i32.const 1)))'
    wat = component_without_imports(body)
    with running(wat, import_pages=0, windows=(0, BRIDGE_BYTES, MIB)) as it:
        # Its memory has the sizes of a bridge's, and is none.
        assert it.call().ok
        assert not any(it.native.window(1)[64:])


@pytest.mark.parametrize(
    ("imports", "exports"), [(0, BRIDGE_PAGES), (BRIDGE_PAGES + 1, BRIDGE_PAGES), (4, 5), (4, 0)]
)
def test_bridges_of_other_sizes_than_announced_are_refused(imports: int, exports: int) -> None:
    windows = (8 * PAGE, 8 * PAGE, MIB, MIB, MIB)
    with guest(component('(memory 1) (func (export "f0"))'), windows=windows) as it:
        assert it.load().ok
        ended = it.instantiate(import_pages=imports, export_pages=exports)
        if exports == 0:
            # Nothing was announced, so nothing can be missing.
            assert ended.ok
        elif imports == 0:
            assert ended.ok  # The import bridge's memory counts as one of the component's.
        else:
            assert ended.status == _abi.STATUS_ERROR
            assert "bridge" in ended.message


def test_garbage_collected_objects_take_a_further_window() -> None:
    body = f"""(type $point (struct (field i32) (field (mut i32))))
      (type $bytes (array (mut i8)))
      (memory 1)
      (global $kept (mut (ref null $bytes)) (ref.null $bytes))
      (func (export "f0") (local $i i32) (local $p (ref null $point))
        (loop $again
          (local.set $p (struct.new $point (local.get $i) (i32.const 0)))
          (struct.set $point 1 (local.get $p) (local.get $i))
          {check("(i32.eq (struct.get $point 1 (local.get $p)) (local.get $i))")}
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                                  (i32.const 20000)))))
      (func (export "f1")
        (global.set $kept (array.new_default $bytes (i32.const 0x1000000))))
      (func (export "f2") (drop (array.get_u $bytes
        (array.new_default $bytes (i32.const 2)) (i32.const 2))))
      (func (export "f3") (drop (ref.cast (ref $point) (array.new_default $bytes (i32.const 2)))))
      """
    with guest(component(body, 4), windows=(BRIDGE_BYTES, BRIDGE_BYTES, MIB)) as it:
        assert it.load().ok
        ended = it.instantiate(4)
        assert ended.status == _abi.STATUS_LIMIT
        assert "garbage-collected" in ended.message
    windows = (BRIDGE_BYTES, BRIDGE_BYTES, MIB, 4 * MIB)
    with guest(component(body, 4), windows=windows) as it:
        assert it.load().ok
        for index, ends in enumerate((None, "LIMIT", "ARRAY_OUT_OF_BOUNDS", "CAST_FAILURE")):
            assert it.instantiate(4).ok
            ended = it.call(index)
            if ends is None:
                assert ended.ok, ended
            elif ends == "LIMIT":
                assert ended.status == _abi.STATUS_LIMIT, ended
            else:
                assert ended.trap == getattr(_abi, f"TRAP_{ends}"), ended


def test_exceptions_are_caught_or_trap() -> None:
    body = """(memory 1) (tag $e (param i32))
      (func $thrower (throw $e (i32.const 42)))
      (func (export "f0")
        (block $caught (result i32)
          (try_table (catch $e $caught) (call $thrower)) unreachable)
        (if (i32.ne (i32.const 42)) (then unreachable)))
      (func (export "f1") (call $thrower))"""
    with running(component(body, 2), calls=2) as it:
        assert it.call(0).ok
        ended = it.call(1)
        assert ended.trap == _abi.TRAP_OTHER
        assert "exception" in ended.message
        assert [frame.function for frame in ended.frames][:1] == ["thrower"]


@pytest.mark.parametrize("windows", [3, 4], ids=["no spare window", "spare window"])
def test_a_window_for_objects_is_never_that_of_a_memory_which_starts_empty(windows: int) -> None:
    body = f"""(memory 0) (func (export "f0")
      {check("(i32.eqz (memory.grow (i32.const 16)))")}
      {check("(i32.eq (memory.grow (i32.const 1)) (i32.const -1))")})"""
    for wat, pages in ((component(body), BRIDGE_PAGES), (component_without_imports(body), 0)):
        capacities = (BRIDGE_BYTES, BRIDGE_BYTES, MIB, 2 * MIB)[:windows]
        with running(wat, import_pages=pages, windows=capacities) as it:
            assert it.call().ok
            # An unused spare window costs nothing.
            with it.exits(3 + 1 if pages else 2 + 1):
                assert it.instantiate(import_pages=pages).ok
