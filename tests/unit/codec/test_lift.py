"""What the guest's bytes may be, and that nothing else gets through."""

from __future__ import annotations

import struct
import tracemalloc
from typing import Any

import pytest

from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.errors import Err, GuestDataError, LimitExceeded
from tests.unit.codec.worlds import EchoContext, World

SIZE = 4096


def lift(world: World, ref: Any, record: bytes, memory: dict[int, bytes] | None = None) -> Any:
    """Lifts a result of this type from a memory with these bytes."""
    number = world.function(f"f{len(world.functions)}", {}, ref)
    function = world.description().exports[number]
    context = EchoContext(SIZE)

    def guest(_: int) -> None:
        for offset, data in {function.result_offset: record, **(memory or {})}.items():
            context.export_memory[offset : offset + len(data)] = data

    context.guest = guest
    try:
        return bind_export(function, context)()
    except GuestDataError as error:
        assert context.poisoned_by is error
        assert context.depth == 0
        assert error.__context__ is None or error.__suppress_context__
        raise


def pair(pointer: int, length: int) -> bytes:
    return struct.pack("<II", pointer, length)


def test_every_nonzero_byte_is_true() -> None:
    world = World()
    assert lift(world, "bool", b"\x02") is True
    assert lift(world, world.list("bool"), pair(100, 3), {100: b"\x00\xff\x01"}) == [
        False,
        True,
        True,
    ]


def test_unknown_flags_are_dropped() -> None:
    world = World()
    flags = world.flags("f", "a", "b")
    assert lift(world, flags, b"\xff").value == 3


@pytest.mark.parametrize("pointer", [0, 64, SIZE])
def test_empty_lists_and_strings_may_lie_anywhere(pointer: int) -> None:
    world = World()
    assert lift(world, "string", pair(pointer, 0)) == ""
    assert lift(world, world.list("u8"), pair(pointer, 0)) == b""
    assert lift(world, world.list("u64"), pair(pointer, 0)) == []
    assert lift(world, world.list("string"), pair(pointer, 0)) == []


BAD_POINTERS = [(SIZE, 1), (SIZE - 1, 2), (0xFFFFFFFF, 0), (0xFFFFFFFF, 1), (0, 0xFFFFFFFF)]


@pytest.mark.parametrize(("pointer", "length"), BAD_POINTERS)
def test_pointers_beyond_the_memory(pointer: int, length: int) -> None:
    world = World()
    refs = ["string", *[world.list(each) for each in ("u8", "u16", "string", "bool", "char")]]
    for ref in [*refs, world.list(world.tuple("u8", "string"))]:
        with pytest.raises(GuestDataError, match=r"result: .* reach beyond"):
            lift(world, ref, pair(pointer, length))


@pytest.mark.parametrize("element", ["u16", "u32", "u64", "char", "string"])
def test_misaligned_pointers(element: str) -> None:
    world = World()
    for length in (0, 1):
        with pytest.raises(GuestDataError, match="result: the pointer 101 is not aligned"):
            lift(world, world.list(element), pair(101, length))


@pytest.mark.parametrize(
    "data", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\xc3"]
)
def test_strings_that_are_not_utf8(data: bytes) -> None:
    world = World()
    with pytest.raises(GuestDataError, match="result: the string is not UTF-8"):
        lift(world, "string", pair(100, len(data)), {100: data})
    with pytest.raises(GuestDataError, match=r"result\[0\]: the string is not UTF-8"):
        lift(world, world.list("string"), pair(200, 1), {100: data, 200: pair(100, len(data))})


@pytest.mark.parametrize("code", [0xD800, 0xDFFF, 0x110000, 0xFFFFFFFF])
def test_chars_that_are_no_scalar_values(code: int) -> None:
    world = World()
    data = struct.pack("<I", code)
    with pytest.raises(GuestDataError, match=r"result: .* is not a Unicode scalar value"):
        lift(world, "char", data)
    with pytest.raises(GuestDataError, match=r"result\[1\]: .* is not a Unicode"):
        lift(world, world.list("char"), pair(100, 2), {100: b"a\0\0\0" + data})


def test_discriminants_out_of_range() -> None:
    world = World()
    many = {f"c{i}": None for i in range(8)}
    refs = [
        (world.enum("e", "a", "b"), "e has no case number 2"),
        (world.variant("v", {"a": "u8", "b": None}), "v has no case number 2"),
        (world.variant("w", {"a": "u8", "b": "u16"}), "w has no case number 2"),
        (world.option("u8"), "option<u8> has no case number 2"),
        (world.result("u8"), "result<u8> has no case number 2"),
        (world.tuple(world.result("u8", "u16")), r"result\[0\]: result<u8, u16> has no case"),
    ]
    for ref, problem in refs:
        with pytest.raises(GuestDataError, match=problem):
            lift(world, ref, b"\x02" * 8)
    for ref in (world.variant("x", many), world.variant("y", {**many, "z": "u8"})):
        with pytest.raises(GuestDataError, match="has no case number 200"):
            lift(world, ref, b"\xc8\0")


def test_paths_lead_to_the_wrong_value() -> None:
    world = World()
    item = world.record("item", id="u8", tag=world.option("char"))
    shape = world.variant("shape", {"many": world.list(item), "none": None})
    bad = b"\x01\0\0\0\x01\0\0\0\x00\xd8\0\0"
    good = b"\x01\0\0\0\0\0\0\0\0\0\0\0"
    with pytest.raises(GuestDataError, match=r"^ops.f0: result.many\[1\].tag: 0xd800 is not"):
        lift(world, shape, b"\0\0\0\0" + pair(100, 2), {100: good + bad})


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("own", "result"),
        ("result", "result.ok"),
        ("tuple", r"result\[0\]"),
        ("list", r"result\[0\]"),
    ],
)
def test_unknown_resources_are_told_with_their_place(kind: str, path: str) -> None:
    world = World()
    file = world.own(world.resource("file"))
    of_kind = {"own": lambda: file, "result": lambda: world.result(file, "u8")}
    of_kind |= {"tuple": lambda: world.tuple(file, "u8"), "list": lambda: world.list(file)}
    records = {"result": pair(0, 9), "list": pair(512, 1)}
    world.function("f", {}, of_kind[kind]())
    function = world.description().exports[0]
    context = EchoContext(SIZE)

    def guest(_: int) -> None:
        record = records.get(kind, pair(9, 0))
        at = function.result_offset
        context.export_memory[at : at + 8] = record
        context.export_memory[512:516] = struct.pack("<I", 9)

    context.guest = guest
    call = bind_export(function, context)
    for _ in range(4):  # plain at first, then generated
        with pytest.raises(GuestDataError, match=rf"^ops\.f: {path}: unknown handle 9$"):
            call()
        assert context.poisoned_by is not None


def test_lists_that_overlap_cannot_grow_without_bound() -> None:
    world = World()
    ref: Any = "u8"
    for _ in range(6):
        ref = world.list(ref)
    # Each level: 400 lists that are all the next level's whole list; 400**6 bytes in all.
    memory = {512: pair(512, 400) * 400}
    tracemalloc.start()
    with pytest.raises(GuestDataError, match="the lists overlap"):
        lift(world, ref, pair(512, 400), memory)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_strings_that_overlap_cannot_either() -> None:
    world = World()
    memory = {512: pair(0, SIZE) * 100}
    for ref in (world.list("string"), world.list(world.list("u8"))):
        with pytest.raises(GuestDataError, match="the lists overlap"):
            lift(world, ref, pair(512, 100), memory)
    two = world.tuple("string", "string")
    with pytest.raises(GuestDataError, match="the lists overlap"):
        lift(world, two, pair(0, SIZE) + pair(0, SIZE))


def test_a_result_beyond_the_memory() -> None:
    world = World()
    ref = world.tuple(*["u64"] * 600)
    # The plain codec sees it before the call already.
    with pytest.raises((GuestDataError, LimitExceeded), match="the transfer memory"):
        lift(world, ref, b"")


def test_the_error_arm_is_raised() -> None:
    world = World()
    both = world.result("u8", "string")
    assert lift(world, both, b"\0\0\0\0\x07") == 7
    with pytest.raises(Err) as caught:
        lift(world, both, b"\x01\0\0\0" + pair(100, 2), {100: b"no"})
    assert caught.value.value == "no"
    bare = world.result()
    assert lift(world, bare, b"\0") is None
    with pytest.raises(Err) as caught:
        lift(world, bare, b"\x01")
    assert caught.value.value is None
    with pytest.raises(GuestDataError, match="has no case number 2"):
        lift(world, both, b"\x02")


@pytest.mark.parametrize("pointer", [1, 2, SIZE, SIZE - 4, 0xFFFFFFFF, 2**63, -64])
def test_host_calls_check_the_address_of_their_parameters(pointer: int) -> None:
    world = World()
    world.function("f", {"a": "u32", "b": "u32"})
    world.function("g", {"a": world.list("u32"), "b": "u32"})
    context = EchoContext(SIZE)
    for function in world.description().imports:
        serve = bind_import(function, context, lambda *_: pytest.fail("it was called"))
        for _ in range(8):  # plain at first, then generated
            with pytest.raises(GuestDataError, match=f"bad address of the parameters: {pointer}"):
                serve(pointer)
