"""Resources on both sides, in every place of a value, by guests of four toolchains."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Load, Start
from tests.integration.kitchen_sink_host import Host
from tests.integration.resources_host import Blob, Store

pytestmark = pytest.mark.hypervisor

WAT = pytest.param("resources", marks=pytest.mark.toolchain("cargo"))
C = pytest.param("resources_c", marks=pytest.mark.toolchain("ziglang", "cargo"))
PY = pytest.param("resources_py", marks=pytest.mark.toolchain("componentize-py"))
JS = pytest.param("resources_js", marks=pytest.mark.toolchain("node"))


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def guest(request: pytest.FixtureRequest, start: Start, store: Store) -> Any:
    """One sample, with its interfaces at hand."""
    return interfaces_of(start, request.param, store)


@pytest.fixture
def wat(start: Start, store: Store) -> Any:
    """The sample in WebAssembly text, which can do all."""
    return interfaces_of(start, "resources", store)


def interfaces_of(start: Start, name: str, store: Store) -> Any:
    # Another version of what is imported, on the same track.
    sandbox = start(name, {"demo:resources/store@1.0.0": store}, wasi=hlwasm.Wasi())
    exports = sandbox.exports
    misuse = exports.misuse if "misuse" in exports else None
    return SimpleNamespace(
        sandbox=sandbox, counters=exports.counters, client=exports.client, misuse=misuse
    )


def guests(*names: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("guest", names, indirect=True)


class TestGuestResources:
    @guests(WAT, C, PY, JS)
    def test_constructors_methods_and_static_functions(self, guest: Any) -> None:
        Counter = guest.counters.Counter
        one, two = Counter(5), Counter(start=7)
        assert isinstance(one, Counter)
        assert (one.add(3), one.value(), one.above(two), two.above(one)) == (8, 8, True, False)
        half = one.halve()
        assert (half.value(), one.value()) == (4, 4)
        assert Counter.checked(6).value() == 6
        with pytest.raises(hlwasm.Err) as caught:
            Counter.checked(-12)
        assert caught.value.value == "negative: -12"

    @guests(WAT, C, PY)
    def test_owned_handles_go_to_the_component_and_back_in_every_place(self, guest: Any) -> None:
        c = guest.counters
        Counter, Group = c.Counter, c.Group
        assert c.turn(Group.Nothing()) == Group.Nothing()
        assert c.turn(Group.One(Counter(1))).value.value() == 1
        many = c.turn(Group.Many([Counter(2), Counter(3)])).value
        assert [counter.value() for counter in many] == [2, 3]
        named = c.turn(Group.Named(c.Named("x", Counter(4)))).value
        assert (named.name, named.counter.value()) == ("x", 4)
        assert c.turn_option(Counter(5)).value() == 5
        assert c.turn_option(None) is None
        assert c.turn_result(hlwasm.Ok(Counter(6))).value() == 6
        with pytest.raises(hlwasm.Err, match="why not"):
            c.turn_result(hlwasm.Err("why not"))
        counter, number = c.turn_tuple((Counter(7), 9))
        assert (counter.value(), number) == (7, 9)

    @guests(WAT, C, PY, JS)
    def test_lent_handles_go_to_the_component_in_every_place(self, guest: Any) -> None:
        c = guest.counters
        one, two = c.Counter(10), c.Counter(20)
        # One may be lent several times in a call.
        for seen, total in [
            (c.Seen.Nothing(), 0),
            (c.Seen.One(one), 10),
            (c.Seen.Many([one, two, one]), 40),
            (c.Seen.Many([]), 0),
            (c.Seen.Named(c.View("v", two)), 20),
        ]:
            for _ in range(3):
                assert c.sum(seen) == total
        assert c.sum_option(one, (one, 3)) == 40
        assert c.sum_option(None, (two, 2)) == 40
        assert (one.value(), two.value()) == (10, 20)

    @guests(WAT, C)
    def test_each_destructor_runs_once(self, guest: Any) -> None:
        c = guest.counters
        with c.Counter(1) as counter:
            assert counter.value() == 1
        assert c.destroyed() == (1, 1)
        counter.drop()
        assert c.destroyed() == (1, 1)
        with pytest.raises(ZeroDivisionError), c.Counter(10):
            raise ZeroDivisionError
        assert c.destroyed() == (2, 11)
        # Of one that is dropped by the component itself.
        keeper = c.Counter(100)
        given = c.Counter(1000)
        keeper.absorb(given)
        given.drop()
        assert c.destroyed() == (3, 1011)
        # Of one that is garbage, before the next call.
        del keeper
        assert c.destroyed() == (4, 2111)
        # Kept by the component until it keeps another; and what comes back is the host's again.
        c.keep(c.Counter(1))
        c.keep(c.Counter(2))
        assert c.destroyed() == (5, 2112)
        released = c.release()
        assert released.value() == 2
        assert c.release() is None
        released.drop()
        assert c.destroyed() == (6, 2114)
        # Each of several that go there and back.
        group = c.turn(c.Group.Many([c.Counter(1), c.Counter(1)]))
        assert c.destroyed() == (6, 2114)
        for each in group.value:
            each.drop()
        assert c.destroyed() == (8, 2116)

    @guests(PY, JS)
    def test_some_toolchains_run_no_destructors(self, guest: Any) -> None:
        guest.counters.Counter(1).drop()
        assert guest.counters.destroyed() == (0, 0)

    @guests(JS)
    def test_componentize_qjs_takes_no_owned_resource_of_its_own(self, guest: Any) -> None:
        with pytest.raises(hlwasm.Trap, match="unreachable"):
            guest.counters.turn_option(guest.counters.Counter(1))

    def test_they_can_be_neither_copied_nor_pickled(self, wat: Any) -> None:
        counter = wat.counters.Counter(3)
        for make in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="a counter lives in its sandbox"):
                make(counter)
        assert counter.value() == 3

    def test_the_classes_are_found_where_they_belong(self, wat: Any) -> None:
        assert "Counter" in dir(wat.counters)
        # The host's own class is not the component's to give.
        assert "Blob" not in dir(wat.client)
        with pytest.raises(AttributeError, match="exports no 'Blob'"):
            _ = wat.client.Blob


class TestOwnership:
    """What can be done with a guest resource, and when."""

    def test_what_was_given_away_is_of_no_use(self, wat: Any) -> None:
        c = wat.counters
        given, dropped, one = c.Counter(1), c.Counter(2), c.Counter(3)
        c.keep(given)
        dropped.drop()
        for use, message in [
            (given.value, r"counters\.Counter\.value: parameter self: this counter was given away"),
            (dropped.value, r"parameter self: this counter was dropped"),
            (lambda: c.keep(given), r"counters\.keep: parameter counter: this counter was given"),
            (
                lambda: c.sum(c.Seen.Many([one, given])),
                r"parameter seen\.many\[1\]: this counter was given away",
            ),
            (
                lambda: c.turn(c.Group.Named(c.Named("n", given))),
                r"parameter group\.named\.counter: this counter was given away",
            ),
        ]:
            for _ in range(3):
                with pytest.raises(hlwasm.WitValueError, match=message):
                    use()
        assert repr(given) == "<counter was given away>"
        given.drop()
        assert c.release().value() == 1

    def test_one_is_given_once_in_a_call_or_lent_but_not_both(self, wat: Any) -> None:
        c = wat.counters
        one, two = c.Counter(1), c.Counter(2)
        refused: list[tuple[Callable[[], Any], str]] = [
            (
                lambda: c.turn(c.Group.Many([one, two, one])),
                r"many\[2\]: this counter is given awa",
            ),
            (lambda: one.absorb(one), "parameter other: this counter is lent to the same call"),
        ]
        for give, message in refused:
            for _ in range(3):
                with pytest.raises(hlwasm.WitValueError, match=message):
                    give()
        # Nothing moved, and a refused loan is forgotten.
        assert (one.value(), two.value()) == (1, 2)
        two.absorb(one)
        assert two.value() == 3
        assert c.destroyed() == (1, 1)

    def test_a_call_that_is_not_made_takes_nothing(self, wat: Any, store: Store) -> None:
        c, client = wat.counters, wat.client
        one, blob = c.Counter(1), Blob("b", b"12")
        for _ in range(3):
            with pytest.raises(hlwasm.WitTypeError, match=r"parameter pair\[1\]"):
                c.turn_tuple((one, "many"))
            with pytest.raises(hlwasm.WitTypeError, match=r"many\[1\]: expected a counter"):
                c.turn(c.Group.Many([one, 3]))
            with pytest.raises(hlwasm.WitTypeError, match=r"many\[1\]: expected a blob"):
                client.turn(client.Held.Many([blob, 3]))
            with pytest.raises(hlwasm.WitTypeError, match="parameter second"):
                client.equal(blob, None)
        assert one.value() == 1
        assert c.turn_tuple((one, 1))[0].value() == 1
        client.discard(blob)
        assert blob.closed == 1

    def test_resources_of_another_sandbox_mean_nothing(
        self, wat: Any, load: Load, store: Store
    ) -> None:
        c = wat.counters
        one = c.Counter(1)
        with wat.sandbox.fork() as fork, load("resources").instantiate({"store": store}) as clone:
            for sandbox in (fork, clone):
                theirs = sandbox.exports.counters
                assert theirs.Counter(7).value() == 7
                for use in (theirs.keep, theirs.Counter(2).above, theirs.turn_option):
                    with pytest.raises(
                        hlwasm.WitValueError,
                        match=r"this counter belongs to another sandbox, one of resources\.wasm, "
                        r"and means nothing in this one of resources\.wasm",
                    ):
                        use(one)
        assert one.value() == 1

    def test_resources_and_restores(self, wat: Any) -> None:
        c, sandbox = wat.counters, wat.sandbox
        old = c.Counter(1)
        snapshot = sandbox.snapshot()
        new = c.Counter(2)
        c.keep(c.Counter(5))
        old.add(10)
        sandbox.restore(snapshot)
        assert old.value() == 1
        assert c.release() is None
        for use in (new.value, lambda: c.keep(new), lambda: c.sum(c.Seen.One(new))):
            with pytest.raises(hlwasm.WitValueError, match="a state that was restored away"):
                use()
        new.drop()
        # What was given away since stays so: the component that has it is restored, too.
        c.keep(old)
        sandbox.restore(snapshot)
        with pytest.raises(hlwasm.WitValueError, match="was given away"):
            old.value()

    def test_after_the_end_nothing_is_left_to_drop(self, wat: Any) -> None:
        c, sandbox = wat.counters, wat.sandbox
        trapped, closed = c.Counter(1), c.Counter(2)
        with pytest.raises(hlwasm.Trap):
            wat.misuse.use_any(77)
        trapped.drop()
        with pytest.raises(hlwasm.SandboxPoisoned):
            closed.value()
        sandbox.close()
        with closed:
            pass
        with pytest.raises(hlwasm.SandboxClosed):
            c.Counter(1)


class TestHostResources:
    @guests(WAT, C, PY, JS)
    def test_the_component_makes_uses_and_drops_them(self, guest: Any) -> None:
        client = guest.client
        made = client.make("a", b"hello")
        assert isinstance(made, Blob)
        assert (made.text, made.data, made.closed) == ("a", b"hello", 0)
        client.discard(made)
        assert made.closed == 1
        assert client.open("x").data == b"opened"
        with pytest.raises(hlwasm.Err, match="no name"):
            client.open("")
        blob = Blob("b", b"12345")
        halves = client.halves(blob)
        assert halves[0] is blob
        assert [(half.text, half.data, half.closed) for half in halves] == [
            ("b", b"12", 0),
            ("b+", b"345", 0),
        ]

    @guests(WAT, C)
    def test_one_that_stays_behind_an_error_is_dropped(self, guest: Any) -> None:
        small = Blob("small")
        with pytest.raises(hlwasm.Err, match="small is too small"):
            guest.client.halves(small)
        assert small.closed == 1

    @guests(WAT, C, PY, JS)
    def test_owned_handles_go_to_the_component_and_back_in_every_place(
        self, guest: Any, store: Store
    ) -> None:
        client, Held = guest.client, guest.client.Held
        one, two, three = Blob("1", b"1"), Blob("2", b"2"), Blob("3", b"3")
        for function in (client.turn, client.swap):
            assert function(Held.Nothing()) == Held.Nothing()
            assert function(Held.One(one)).value is one
        assert client.turn(Held.Many([one, two])).value == [one, two]
        joined = client.swap(Held.Many([two, three])).value
        assert (joined.data, two.closed, three.closed) == (b"23", 1, 1)
        assert store.seen == [
            ("swap", []),
            ("swap-option", [one]),
            ("swap-result", [one]),
            ("swap-tuple", [one]),
            ("swap", [one]),
            ("swap", [joined]),
        ]
        assert one.closed == joined.closed == 0

    @guests(WAT, C, PY, JS)
    def test_in_a_record(self, guest: Any) -> None:
        Held = guest.client.Held
        blob = Blob("n", b"1")
        for function in (guest.client.turn, guest.client.swap):
            # A record may be given as a mapping.
            named = function(Held.Named({"label": "label", "blob": blob})).value
            assert (named.label, named.blob) == ("label", blob)

    @guests(WAT, C, PY)
    def test_lent_handles_go_to_the_component_in_every_place(self, guest: Any) -> None:
        client, Seen = guest.client, guest.client.Seen
        one, two = Blob("one", b"1"), Blob("two", b"22")
        assert client.describe(one) == ("one", 1)
        for _ in range(3):
            assert client.total(Seen.Nothing()) == 0
            assert client.total(Seen.One(two)) == 6
            assert client.total(Seen.Many([one, two, one])) == 4
            assert client.total(Seen.Named({"label": "x", "blob": two})) == 2
            assert client.equal(one, one) is True
            assert client.equal(one, two) is False
        assert one.closed == two.closed == 0

    @guests(JS)
    def test_componentize_qjs_gives_loans_back_too_late(self, guest: Any) -> None:
        with pytest.raises(hlwasm.Trap, match="borrow handles still remain") as caught:
            guest.client.describe(Blob("b"))
        assert caught.value.code is hlwasm.TrapCode.BAD_HANDLE

    @guests(WAT, C, PY, JS)
    def test_what_the_component_keeps_is_closed_when_the_sandbox_is(self, guest: Any) -> None:
        client = guest.client
        blob = Blob("kept")
        client.keep(blob)
        assert client.release() is blob
        assert client.release() is None
        client.keep(blob)
        assert blob.closed == 0
        guest.sandbox.close()
        assert blob.closed == 1

    def test_one_object_given_twice_is_closed_with_its_last_handle(self, wat: Any) -> None:
        client, blob = wat.client, Blob("twice", b"12")
        client.keep(blob)
        client.discard(blob)
        assert blob.closed == 0
        assert client.turn(client.Held.Many([blob, blob])).value == [blob, blob]
        # Lent to a call while the component owns it.
        assert client.equal(blob, blob)
        client.keep(Blob("another"))
        assert blob.closed == 1

    def test_wrong_objects_are_refused_with_their_place(self, wat: Any) -> None:
        client = wat.client

        class Half:
            def name(self) -> str:
                return "half"

        methods = "name, size, append, split, same, absorb"
        for value, got in [
            (3, "got 3, which has no name, size"),
            (None, "got None$"),
            (Half(), "which has no size, append, split, same, absorb$"),
            (wat.counters.Counter(1), "this counter is the component's own"),
        ]:
            with pytest.raises(hlwasm.WitTypeError, match=got) as caught:
                client.discard(value)
            assert str(caught.value).startswith("client.discard: parameter blob: expected a blob")
            assert caught.value.path == "client.discard: parameter blob"
        with pytest.raises(hlwasm.WitTypeError) as caught:
            client.total(client.Seen.Many([Blob("b"), "text"]))
        assert str(caught.value) == (
            "client.total: parameter seen.many[1]: expected a blob, an object of class Blob or "
            f"one that has {methods}, got 'text', which has no name, size, append, same, absorb"
        )

    def test_any_object_with_the_methods_does(self, wat: Any) -> None:
        answers = {"name": "other", "size": 77}

        class Other:
            def __getattr__(self, name: str) -> Any:
                if name not in {"name", "size", "append", "split", "same", "absorb"}:
                    raise AttributeError(name)
                return lambda *_: answers[name]

        assert wat.client.describe(Other()) == ("other", 77)

    @pytest.mark.parametrize(
        ("function", "make", "path"),
        [
            ("open", lambda: "text", r"store\.Blob\.open: result\.ok: expected a blob"),
            ("open", lambda: None, r"store\.Blob\.open: result\.ok: expected a blob.*, got None"),
            ("swap_option", lambda: 3, "store.swap_option: result: expected a blob"),
            ("swap_result", lambda: hlwasm.Ok(3), r"store\.swap_result: result\.ok: expected a b"),
            ("swap_tuple", lambda: (Blob("b"), -1), r"store\.swap_tuple: result\[1\]: -1 does not"),
            ("swap", lambda: 3, "store.swap: result: expected a case of held, got"),
        ],
    )
    def test_a_host_function_that_returns_something_else(
        self, wat: Any, store: Store, function: str, make: Any, path: str
    ) -> None:
        owner = type("Blobs", (Blob,), {}) if function == "open" else store
        setattr(owner, function, staticmethod(lambda *_: make()))
        imports = {"store": store}
        if function == "open":
            store.Blob = owner  # type: ignore[assignment]
        with wat.sandbox.fork(imports) as sandbox:
            client, blob = sandbox.exports.client, Blob("b")
            with pytest.raises(hlwasm.ConversionError, match=path):
                client.open("x") if function == "open" else client.swap(client.Held.One(blob))
            with pytest.raises(hlwasm.SandboxPoisoned):
                client.release()
        # The host function took it.
        assert blob.closed == 0


class TestMisuse:
    """Guests that break the rules."""

    # What is called, how it ends, and how often the blob is closed when all is over.
    @pytest.mark.parametrize(
        ("call", "message", "closed"),
        [
            (lambda m, c, b: m.keep_borrow(b), "borrow handles still remain at the end", 0),
            (lambda m, c, b: m.use_kept(), "unknown handle index 0", 0),
            (lambda m, c, b: m.give_borrowed(b), "cannot lift own resource from a borrow", 0),
            (lambda m, c, b: m.drop_twice(b), "unknown handle index", 1),
            (lambda m, c, b: m.use_dropped(b), "unknown handle index", 1),
            (lambda m, c, b: m.use_any(0), "unknown handle index 0", 0),
            (lambda m, c, b: m.use_any(77), "unknown handle index 77", 0),
            (lambda m, c, b: m.use_any(2**32 - 1), "unknown handle index 4294967295", 0),
            (lambda m, c, b: m.use_other_type(c), "used with the wrong type", 0),
            (lambda m, c, b: m.return_any(5), "unknown handle index 5", 0),
            (lambda m, c, b: m.return_dropped(c), "unknown handle index", 0),
            (lambda m, c, b: m.lend_and_give(b), "cannot remove owned resource while borrowed", 1),
        ],
    )
    @guests(WAT, C)
    def test_bad_handles_end_the_call(
        self, guest: Any, call: Any, message: str, closed: int
    ) -> None:
        sandbox, blob = guest.sandbox, Blob("b", b"12")
        snapshot = sandbox.snapshot()
        with pytest.raises(hlwasm.Trap, match=message) as caught:
            call(guest.misuse, guest.counters.Counter(1), blob)
        assert caught.value.code is hlwasm.TrapCode.BAD_HANDLE
        assert sandbox.status is hlwasm.Status.POISONED
        sandbox.restore(snapshot)
        assert blob.closed == closed
        assert guest.client.describe(blob) == ("b", 2)

    @guests(WAT, C)
    def test_what_was_lent_is_the_host_s_whatever_happens(self, guest: Any) -> None:
        blob = Blob("lent")
        with pytest.raises(hlwasm.Trap):
            guest.misuse.keep_borrow(blob)
        guest.sandbox.close()
        assert blob.closed == 0


class TestSandboxesTogether:
    """What one component exports serves what another imports."""

    def test_a_resource_of_one_component_is_a_host_resource_of_another(
        self, start: Start, load: Load
    ) -> None:
        served = start("kitchen_sink", Host())
        imports = Host()
        imports.things = served.exports.things
        with load("kitchen_sink").instantiate(imports) as user:
            things = user.exports.things
            thing = things.Thing("one")
            assert thing.label() == "one"
            thing.set_label("other")
            with things.Thing("longest") as longest:
                assert thing.longer(longest) == "longest"
            # Each thing of the user is represented by one of the server.
            assert served.exports.things.dropped() == 1
            thing.drop()
            assert served.exports.things.dropped() == 2
