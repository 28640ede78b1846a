"""The callables that binding makes: signatures, order of events, host functions."""

from __future__ import annotations

import gc
import inspect
import linecache
import struct
import traceback
from typing import Any

import pytest

from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.errors import (
    ArtifactError,
    Err,
    GuestDataError,
    LimitExceeded,
    SandboxStateError,
    WitTypeError,
    WitValueError,
)
from hlwasm.wit.model import Function
from hlwasm.wit.values import Ok
from tests.unit.codec.worlds import EchoContext, World, echo


def export_of(world: World, number: int = 0) -> Function:
    return world.description().exports[number]


def test_a_bound_function_looks_like_one_written_by_hand() -> None:
    world = World()
    world.function(
        "add-all",
        {"first-one": "s32", "from": world.list("u8")},
        world.result("s32", "string"),
        docs="Adds.",
    )
    call = bind_export(export_of(world), EchoContext())

    def check() -> None:
        signature = inspect.signature(call)
        assert list(signature.parameters) == ["first_one", "from_"]
        assert call.__name__ == "add_all"
        assert call.__qualname__ == "ops.add_all"
        assert call.__annotations__ == {"first_one": "int", "from_": "bytes", "return": "int"}
        assert call.__doc__ == (
            "Adds.\n\nadd-all: func(first-one: s32, from: list<u8>) -> result<s32, string>"
        )

    check()
    assert call(1, from_=b"x") == 0
    check()
    for arguments, names in [((1,), {}), ((1, b"", 3), {}), ((1, b""), {"from_": b""})]:
        with pytest.raises(TypeError, match=r"add_all\(\)"):
            call(*arguments, **names)


def test_parameters_may_be_named_like_builtins() -> None:
    world = World()
    names = ["type", "len", "list", "str", "isinstance", "memory", "value", "exception", "ord"]
    ref = world.tuple(*["string"] * len(names))
    world.function("odd", dict.fromkeys(names, "string"), ref)
    function = export_of(world)
    context = EchoContext()
    echo(function, context)
    call = bind_export(function, context)
    assert list(inspect.signature(call).parameters) == names
    values = {name: f"<{name}>" for name in names}
    for _ in range(2):
        assert call(**values) == tuple(values.values())
        assert list(inspect.signature(call).parameters) == names
    serve = bind_import(world.description().imports[0], context, lambda *args: args)
    context.import_memory[:] = context.export_memory
    for _ in range(8):
        assert serve(64) > 64


def test_parameters_without_wit_names_cannot_clash() -> None:
    world = World()
    world.function("f.g", {"0": "u8", "a b": "u8", "_slow": "u8"}, interface=None)
    call = bind_export(export_of(world), EchoContext())
    assert call.__name__ == "f_g"
    assert list(inspect.signature(call).parameters) == ["p_0", "a_b", "p_slow"]
    world.function("h", {"a b": "u8", "a-b": "u8"})
    with pytest.raises(ArtifactError):
        bind_export(export_of(world, 1), EchoContext())


def test_code_is_generated_once_for_all_sandboxes() -> None:
    world = World()
    world.function("add", {"a": "s32"}, "s32")
    function = export_of(world)
    contexts = EchoContext(), EchoContext()
    calls = []
    for context in contexts:
        echo(function, context)
        calls.append(bind_export(function, context))
    # The first call of all sandboxes together is left to the plain codec.
    assert [call(5) for call in calls] == [5, 5]
    assert calls[0](5) == 5
    assert calls[0].__code__ is calls[1].__code__
    assert bind_export(function, EchoContext()).__code__ is calls[0].__code__
    assert [bytes(each.export_memory[64:68]) for each in contexts] == [b"\5\0\0\0"] * 2


def test_code_is_generated_for_what_is_called_again() -> None:
    world = World()
    world.function("add", {"a": "s32"}, "s32")
    function, context = export_of(world), EchoContext()
    echo(function, context)
    call = bind_export(function, context)
    stub = call.__code__
    assert call(5) == 5
    assert call.__code__ is stub
    assert call(a=6) == 6
    assert call.__code__ is not stub
    assert call(7) == 7


def test_code_is_generated_at_once_for_lists() -> None:
    world = World()
    world.function("sum", {"values": world.list("s32")}, "s32")
    call = bind_export(export_of(world), EchoContext())
    stub = call.__code__
    assert call([1, 2]) == 0
    # The plain codec takes them one by one.
    assert call.__code__ is not stub


def test_generated_source_shows_in_tracebacks() -> None:
    world = World()
    world.function("fail", {"a": "s32"})
    context = EchoContext()

    def guest(_: int) -> None:
        raise KeyError("from the guest")

    call = bind_export(export_of(world), context)
    call(1)  # by the plain codec
    context.guest = guest
    with pytest.raises(KeyError) as caught:
        call(1)
    text = "".join(traceback.format_exception(caught.value))
    assert "_invoke(0)" in text
    linecache.checkcache()
    assert linecache.getline(call.__code__.co_filename, 1) == "def fail(a):\n"
    assert context.depth == 0


def test_nothing_is_left_of_a_description_that_is_gone() -> None:
    world = World()
    world.function("f", {"a": "u8"}, "u8")
    context = EchoContext()
    call = bind_export(export_of(world), context)
    call(1)  # by the plain codec
    call(1)
    filename = call.__code__.co_filename
    assert filename in linecache.cache
    del call
    gc.collect()
    assert filename not in linecache.cache


def test_nothing_happens_when_the_sandbox_refuses() -> None:
    world = World()
    world.function("f", {"a": "string"})
    context = EchoContext()
    before = bytes(context.export_memory)

    def refuse() -> None:
        raise SandboxStateError("closed")

    context.begin = refuse  # type: ignore[method-assign]
    call = bind_export(export_of(world), context)
    for _ in range(2):
        with pytest.raises(SandboxStateError):
            call("text")
    assert bytes(context.export_memory) == before
    assert context.depth == 0


def test_a_call_resets_the_cursor_behind_its_payload() -> None:
    world = World()
    world.function("none", {}, "u64")
    world.function("some", {"a": "u8", "s": "string", "l": world.list("u64")})
    context = EchoContext()
    cursors = []
    context.guest = lambda _: cursors.append(bytes(context.export_memory[60:64]))
    bind_export(export_of(world), context)()
    bind_export(export_of(world, 1), context)(1, "abc", [1, 2])
    # The list is aligned to 8 behind three bytes of text.
    ends = [80, 96 + 8 + 16]
    assert [int.from_bytes(each, "little") for each in cursors] == ends


def _keeping(values: list[Any]) -> Any:
    def implementation(value: Any) -> Any:
        values.append(value)
        return (value,)

    return implementation


class TestHostFunctions:
    def served(self, ref: Any, implementation: Any, calls: int = 8) -> list[Any]:
        """What the guest gets from several calls of a host function, by their kinds."""
        world = World()
        world.function("look-up", {}, ref)
        world.function("echo", {"value": ref}, world.tuple(ref))
        description = world.description()
        context = EchoContext()
        serve = bind_import(description.imports[0], context, implementation)
        found = []
        for _ in range(calls):
            try:
                pointer = serve(0)
            except Exception as error:
                found.append(error)
                continue
            # Taken as the parameters of another host call at the same place.
            values: list[Any] = []
            bind_import(description.imports[1], context, _keeping(values))(pointer)
            found += values
        return found

    def test_values_returned(self) -> None:
        assert self.served("u8", lambda: 7) == [7] * 8
        assert self.served("string", lambda: "é") == ["é"] * 8

    def test_results_returned_and_raised(self) -> None:
        world = World()
        world.function("f", {"a": "u8"}, world.result("u8", "string"))
        context = EchoContext()
        context.import_memory[64] = 3

        def raise_err(_: int) -> None:
            raise Err("no")

        outcomes = [
            (lambda a: a, b"\0\0\0\0\3"),
            (lambda a: Ok(a), b"\0\0\0\0\3"),
            (lambda _: Err("no"), b"\1\0\0\0"),
            (raise_err, b"\1\0\0\0"),
        ]
        for implementation, start in outcomes:
            serve = bind_import(world.description().imports[0], context, implementation)
            for _ in range(8):
                pointer = serve(64)
                assert pointer == 64  # the cursor, aligned
                assert bytes(context.import_memory[64 : 64 + len(start)]) == start
                context.import_memory[64] = 3

    def test_an_err_without_an_error_arm_is_an_exception(self) -> None:
        def implementation() -> None:
            raise Err("no")

        assert self.served("u8", implementation) == [Err("no")] * 8

    def test_results_that_do_not_fit_name_their_place(self) -> None:
        for error in self.served("u8", lambda: 300):
            assert isinstance(error, WitValueError)
            assert str(error) == "ops.look_up: result: 300 does not fit u8 (0 to 255)"

    def test_a_function_without_result_returns_none(self) -> None:
        world = World()
        world.function("log", {"text": "string"})
        context = EchoContext()
        function = world.description().imports[0]
        good = bind_import(function, context, lambda text: None)
        bad = bind_import(function, context, lambda text: 5)
        for _ in range(8):
            assert good(64) == 0
            with pytest.raises(WitTypeError, match=r"ops.log: result: expected None .* got int 5"):
                bad(64)

    def test_exceptions_come_through_as_they_are(self) -> None:
        problem = ZeroDivisionError("own")

        def implementation() -> int:
            raise problem

        assert all(each is problem for each in self.served("u8", implementation))

    def test_a_result_that_does_not_fit_the_memory(self) -> None:
        for error in self.served("string", lambda: "x" * 70000):
            assert isinstance(error, LimitExceeded)
            assert error.limit == "transfer_memory"

    @pytest.mark.parametrize("cursor", [0xFFFFFFFF, 65536, 65529])
    def test_a_cursor_beyond_the_memory(self, cursor: int) -> None:
        world = World()
        world.function("f", {}, "u64")
        world.function("g", {}, world.list("u64"))
        world.function("h", {}, world.result("string", "string"))
        context = EchoContext()
        results: list[Any] = [1, [1], Err("x")]
        for function, result in zip(world.description().imports, results, strict=True):
            serve = bind_import(function, context, lambda result=result: result)
            for _ in range(8):
                context.import_memory[60:64] = cursor.to_bytes(4, "little")
                with pytest.raises(LimitExceeded):
                    serve(0)


class TestResources:
    def setup_method(self) -> None:
        self.world = World()
        resource = self.world.resource("blob", "guest")
        self.own, self.borrow = self.world.own(resource), self.world.borrow(resource)
        self.context = EchoContext()
        self.resources = self.context.resources

    def call(self, params: dict[str, Any], result: Any = None) -> Any:
        number = self.world.function(f"f{len(self.world.functions)}", params, result)
        function = self.world.description().exports[number]
        echo(function, self.context)
        return bind_export(function, self.context)

    def test_handles_go_both_ways(self) -> None:
        blob = object()
        for ref in (self.own, self.borrow, self.world.list(self.borrow), self.world.list(self.own)):
            is_list = ref not in (self.own, self.borrow)
            value = [blob] if is_list else blob
            self.resources.given_away.clear()
            assert self.call({"blob": ref}, ref)(value) == value

    def test_nothing_is_given_away_when_another_argument_is_wrong(self) -> None:
        blob = object()
        call = self.call({"blob": self.own, "n": "u8", "s": "string"})
        for n, s in [(300, ""), ("1", ""), (1, 5), (1, "\ud800"), (1, "x" * 70000)]:
            with pytest.raises((WitTypeError, WitValueError, LimitExceeded)):
                call(blob, n, s)
            assert self.resources.given_away == []
        call(blob, 1, "")
        assert self.resources.given_away == [blob]

    def test_each_is_given_away_once(self) -> None:
        blob, other = object(), object()
        call = self.call({"a": self.own, "b": self.own, "c": "u32"})
        with pytest.raises(WitTypeError, match="parameter b: expected a resource, got 'x'"):
            call(blob, "x", 1)
        with pytest.raises(WitTypeError, match="parameter b: it was given away"):
            call(blob, blob, 1)
        assert self.resources.given_away == []
        call(blob, other, 1)
        assert self.resources.given_away == [blob, other]
        with pytest.raises(WitTypeError, match=r"f\d: parameter a: it was given away"):
            call(blob, other, 1)

    def test_a_refused_call_takes_nothing_away_from_lists_either(self) -> None:
        owned = self.world.record("owned", blob=self.own, number="u8")
        call = self.call({"first": self.own, "all": self.world.list(owned)})
        blobs = [object(), object(), object()]
        values = [{"blob": blobs[1], "number": 1}, {"blob": blobs[2], "number": 256}]
        with pytest.raises(WitValueError, match=r"all\[1\].number: 256 does not fit"):
            call(blobs[0], values)
        assert self.resources.given_away == []
        call(blobs[0], values[:1])
        assert self.resources.given_away == blobs[:2]

    def test_wrong_objects_are_refused_with_their_path(self) -> None:
        blobs = self.world.list(self.borrow)
        with pytest.raises(
            WitTypeError, match=r"parameter blobs\[1\]: expected a resource"
        ) as info:
            self.call({"blobs": blobs})([object(), 5])
        assert info.value.path.endswith("parameter blobs[1]")

    @pytest.mark.parametrize("arm", ["own", "ok", "list", "nested"])
    def test_unknown_handles_poison(self, arm: str) -> None:
        world, own = self.world, self.own
        result = {
            "own": own,
            "ok": world.result(own, "u8"),
            "list": world.list(own),
            "nested": world.result(None, world.option(own)),
        }[arm]
        call = self.call({}, result)
        records = {
            "own": b"\x09\0\0\0",
            "ok": b"\0\0\0\0\x09\0\0\0",
            "list": b"\x80\0\0\0\1\0\0\0",
            "nested": b"\1\0\0\0\1\0\0\0\x09\0\0\0",
        }

        def guest(_: int) -> None:
            self.context.export_memory[64:76] = records[arm].ljust(12, b"\0")
            self.context.export_memory[128] = 9

        self.context.guest = guest
        with pytest.raises(GuestDataError, match="unknown handle 9") as caught:
            call()
        assert self.context.poisoned_by is caught.value

    def test_host_functions_take_and_give_resources(self) -> None:
        blob = object()
        world = self.world
        number = world.function(
            "swap", {"a": self.own, "b": self.borrow}, world.result(self.own, self.own)
        )
        function = world.description().imports[number]
        context = self.context
        handle = self.resources.lower_own(0, blob)
        self.resources.given_away.clear()
        seen: list[Any] = []

        def implementation(a: Any, b: Any) -> Any:
            seen.append((a, b))
            if len(seen) % 2:
                raise Err(a)
            return a

        serve = bind_import(function, context, implementation)
        for turn in range(8):
            context.import_memory[64:72] = handle.to_bytes(4, "little") * 2
            self.resources.given_away.clear()
            pointer = serve(64)
            tag, given = context.import_memory[pointer], context.import_memory[pointer + 4]
            assert tag == (turn + 1) % 2
            assert self.resources.objects[given] is blob
        assert seen == [(blob, blob)] * 8

    def test_what_the_guest_gave_is_put_back_where_another_value_is_not_valid(self) -> None:
        world = self.world
        two = world.function("two", {"a": self.own, "b": self.own})
        text = world.function("text", {"a": self.own, "b": "string"})
        several = world.function("several", {"a": world.list(self.own)})
        functions = world.description().imports
        context = self.context
        blob, other = object(), object()
        self.resources.objects[:] = [blob, other]
        for number, words, kept in [
            (two, [0, 77], [blob]),
            (text, [0, 1 << 20, 5], [blob]),
            (several, [128, 3], [other, blob]),
        ]:
            serve = bind_import(functions[number], context, lambda *values: pytest.fail("called"))
            context.import_memory[128:140] = struct.pack("<III", 0, 1, 77)
            context.import_memory[64 : 64 + 4 * len(words)] = struct.pack(f"<{len(words)}I", *words)
            # The plain codec, then generated code.
            for _ in range(6):
                self.resources.put.clear()
                with pytest.raises(GuestDataError):
                    serve(64)
                assert self.resources.put == kept


def test_types_too_large_for_generated_code_still_work() -> None:
    world = World()
    big: Any = "u8"
    for _ in range(11):
        big = world.tuple(big, big)
    lists: Any = "string"
    for _ in range(15):
        lists = world.list(lists)
    for ref in (big, lists):
        value: Any = 7 if ref is big else "x"
        for _ in range(11 if ref is big else 15):
            value = (value, value) if ref is big else [value]
        number = world.function(f"f{len(world.functions)}", {"value": ref}, ref)
        function = world.description().exports[number]
        context = EchoContext()
        echo(function, context)
        assert bind_export(function, context)(value) == value
