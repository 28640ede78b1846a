"""Guests that make up handles, or pass those of another type: to adapters, and to the host."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import hlwasm
from hlwasm.codec.functions import bind_export, bind_import
from hlwasm.native import _abi
from hlwasm.sandbox.calls import CallLoop
from hlwasm.wit.model import Resource
from tests.unit.sandbox.scripted import Script, scripted_sandbox

# Handles are numbers in core code; each function passes on the one that it is given.
HANDLES = b"""(component
  (import "test:zoo/host" (instance $host
    (export "cat" (type $cat' (sub resource)))
    (export "dog" (type $dog' (sub resource)))
    (export "new-cat" (func (result (own $cat'))))
    (export "new-dog" (func (result (own $dog'))))
    (export "keep" (func (param "cat" (own $cat'))))
    (export "pet" (func (param "cat" (borrow $cat'))))
    (export "keep-all" (func (param "cats" (list (own $cat')))))))
  (alias export $host "cat" (type $cat))
  (alias export $host "dog" (type $dog))
  (core module $Memory (memory (export "memory") 1))
  (core instance $memory (instantiate $Memory))
  (type $box' (resource (rep i32)))
  (core func $new-cat (canon lower (func $host "new-cat")))
  (core func $new-dog (canon lower (func $host "new-dog")))
  (core func $keep (canon lower (func $host "keep")))
  (core func $pet (canon lower (func $host "pet")))
  (core func $keep-all (canon lower (func $host "keep-all")
    (memory (core memory $memory "memory"))))
  (core func $new-box (canon resource.new $box'))
  (core func $box-rep (canon resource.rep $box'))
  (core func $drop-cat (canon resource.drop $cat))
  (core func $drop-box (canon resource.drop $box'))
  (core module $M
    (import "" "memory" (memory 1))
    (import "" "new-cat" (func $new-cat (result i32)))
    (import "" "new-dog" (func $new-dog (result i32)))
    (import "" "keep" (func $keep (param i32)))
    (import "" "pet" (func $pet (param i32)))
    (import "" "keep-all" (func $keep-all (param i32 i32)))
    (import "" "new-box" (func $new-box (param i32) (result i32)))
    (import "" "box-rep" (func $box-rep (param i32) (result i32)))
    (import "" "drop-cat" (func $drop-cat (param i32)))
    (import "" "drop-box" (func $drop-box (param i32)))
    (func (export "cat") (result i32) (call $new-cat))
    (func (export "dog") (result i32) (call $new-dog))
    (func (export "box") (result i32) (call $new-box (i32.const 5)))
    (func (export "give") (param i32) (result i32) (local.get 0))
    (func (export "give-listed") (param i32) (result i32)
      (i32.store (i32.const 16) (local.get 0))
      (i32.store (i32.const 0) (i32.const 16))
      (i32.store (i32.const 4) (i32.const 1))
      (i32.const 0))
    (func (export "give-twice") (param i32) (result i32)
      (i32.store (i32.const 0) (local.get 0))
      (i32.store (i32.const 4) (local.get 0))
      (i32.const 0))
    (func (export "tell") (param i32) (call $keep (local.get 0)))
    (func (export "tell-twice") (param i32) (call $keep (local.get 0)) (call $pet (local.get 0)))
    (func (export "lend") (param i32) (call $pet (local.get 0)))
    (func (export "tell-listed") (param i32)
      (i32.store (i32.const 16) (local.get 0))
      (call $keep-all (i32.const 16) (i32.const 1)))
    (func (export "look") (param i32) (drop (call $box-rep (local.get 0))))
    (func (export "drop") (param i32) (call $drop-cat (local.get 0)))
    (func (export "drop-own") (param i32) (call $drop-box (local.get 0))))
  (core instance $m (instantiate $M (with "" (instance
    (export "memory" (memory $memory "memory"))
    (export "new-cat" (func $new-cat)) (export "new-dog" (func $new-dog))
    (export "keep" (func $keep)) (export "pet" (func $pet)) (export "keep-all" (func $keep-all))
    (export "new-box" (func $new-box)) (export "box-rep" (func $box-rep))
    (export "drop-cat" (func $drop-cat)) (export "drop-box" (func $drop-box))))))
  (func (export "cat") (result u32) (canon lift (core func $m "cat")))
  (func (export "dog") (result u32) (canon lift (core func $m "dog")))
  (func (export "box") (result u32) (canon lift (core func $m "box")))
  (func (export "give-cat") (param "handle" u32) (result (own $cat))
    (canon lift (core func $m "give")))
  (func (export "give-cats") (param "handle" u32) (result (list (own $cat)))
    (canon lift (core func $m "give-listed") (memory (core memory $memory "memory"))))
  (func (export "give-cat-twice") (param "handle" u32) (result (tuple (own $cat) (own $cat)))
    (canon lift (core func $m "give-twice") (memory (core memory $memory "memory"))))
  (func (export "tell") (param "handle" u32) (canon lift (core func $m "tell")))
  (func (export "tell-twice") (param "handle" u32) (canon lift (core func $m "tell-twice")))
  (func (export "lend") (param "handle" u32) (canon lift (core func $m "lend")))
  (func (export "tell-listed") (param "handle" u32) (canon lift (core func $m "tell-listed")))
  (func (export "look") (param "handle" u32) (canon lift (core func $m "look")))
  (func (export "drop") (param "handle" u32) (canon lift (core func $m "drop")))
  (func (export "drop-own") (param "handle" u32) (canon lift (core func $m "drop-own"))))"""

PASSING_A_CAT = ["give_cat", "give_cats", "tell", "lend", "tell_listed", "drop"]


class Host:
    """Makes animals, and takes them."""

    Cat = type("Cat", (), {})
    Dog = type("Dog", (), {})

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.keep = self.pet = self.keep_all = self.taken.append

    def new_cat(self) -> Any:
        return self.Cat()

    def new_dog(self) -> Any:
        return self.Dog()


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture(scope="module")
def zoo() -> hlwasm.Component:
    return hlwasm.load(HANDLES, cache=False, transfer_memory=_abi.TRANSFER_WASM_PAGE_BYTES)


@pytest.fixture
def sandbox(zoo: hlwasm.Component, host: Host) -> Iterator[hlwasm.Sandbox]:
    with zoo.instantiate({"test:zoo/host": host}) as sandbox:
        yield sandbox


def check_refused(sandbox: hlwasm.Sandbox, name: str, handle: int) -> None:
    """The call traps, and says so with the function's name."""
    function = getattr(sandbox.exports, name)
    with pytest.raises(hlwasm.Trap, match=f"^{name}: ") as caught:
        function(handle)
    assert caught.value.code is hlwasm.TrapCode.BAD_HANDLE
    assert sandbox.status is hlwasm.Status.POISONED


@pytest.mark.hypervisor
@pytest.mark.parametrize("handle", [0, 7, 2**31, 2**32 - 1])
@pytest.mark.parametrize("name", PASSING_A_CAT)
def test_handles_that_do_not_exist(
    sandbox: hlwasm.Sandbox, host: Host, name: str, handle: int
) -> None:
    check_refused(sandbox, name, handle)
    assert host.taken == []


@pytest.mark.hypervisor
@pytest.mark.parametrize("name", PASSING_A_CAT)
@pytest.mark.parametrize("other", ["dog", "box"])
def test_handles_of_another_type(
    sandbox: hlwasm.Sandbox, host: Host, name: str, other: str
) -> None:
    check_refused(sandbox, name, getattr(sandbox.exports, other)())
    assert host.taken == []


@pytest.mark.hypervisor
def test_handles_that_are_right(sandbox: hlwasm.Sandbox, host: Host) -> None:
    exports = sandbox.exports
    assert isinstance(exports.give_cat(exports.cat()), Host.Cat)
    [cat] = exports.give_cats(exports.cat())
    assert isinstance(cat, Host.Cat)
    exports.tell(exports.cat())
    exports.tell_listed(exports.cat())
    handle = exports.cat()
    exports.lend(handle)
    exports.drop(handle)
    assert [type(each) for each in host.taken if each] == [Host.Cat, list, Host.Cat]


@pytest.mark.hypervisor
@pytest.mark.parametrize("name", ["look", "drop_own"])
def test_handles_of_the_component_s_own_resource(sandbox: hlwasm.Sandbox, name: str) -> None:
    getattr(sandbox.exports, name)(sandbox.exports.box())
    check_refused(sandbox, name, sandbox.exports.cat())


@pytest.mark.hypervisor
@pytest.mark.parametrize("name", ["give_cat_twice", "tell_twice"])
def test_handles_that_were_given_away(sandbox: hlwasm.Sandbox, name: str) -> None:
    check_refused(sandbox, name, sandbox.exports.cat())


# A runtime that was taken over -----------------------------------------------------


class Rig:
    """A runtime that passes numbers for the host's resources, and the host's side."""

    def __init__(self, zoo: hlwasm.Component) -> None:
        native = scripted_sandbox()
        self.script = Script(native)
        self.loop = CallLoop(native, zoo.description, {})
        self.exports = {each.name: each for each in zoo.description.exports}
        self.imports = {each.name: each for each in zoo.description.imports}
        self.taken: list[Any] = []
        self.loop.bind_import = {
            each.index: partial(bind_import, each, self.loop, self.taken.append)
            for each in zoo.description.imports
        }

    def number_of(self, name: str) -> int:
        """The number of a new object of a resource type, as the host gives it out."""
        types = self.loop.description.types
        [index] = [each.index for each in types if each.name == name and isinstance(each, Resource)]
        number = self.loop.resources.lower_own(index, object())
        self.loop.resources.end_call()  # as one that a call took
        return number

    def give(self, name: str, *words: int) -> Any:
        """Calls an export whose result is these words; a list's elements lie behind."""
        function = self.exports[name]
        self.script.write(EXPORT_MEMORY + function.result_offset, pack(*words))
        self.script.write(EXPORT_MEMORY + LISTED, pack(*words[2:]))
        self.script.done()
        return bind_export(function, self.loop)(0)

    def tell(self, name: str, *words: int) -> None:
        """Calls an export that calls an import with these words."""
        self.script.write(IMPORT_MEMORY + _abi.TRANSFER_DATA, pack(*words))
        self.script.write(IMPORT_MEMORY + LISTED, pack(*words[2:]))
        self.script.host_call(self.imports[name].index, _abi.TRANSFER_DATA)
        self.script.done()
        bind_export(self.exports["tell"], self.loop)(0)


IMPORT_MEMORY = _abi.WINDOW_BASE + _abi.WINDOW_GUARD
EXPORT_MEMORY = IMPORT_MEMORY + _abi.WINDOW_STRIDE
LISTED = 0x1000


def pack(*words: int) -> bytes:
    return struct.pack(f"<{len(words)}I", *words)


@pytest.fixture
def rig(zoo: hlwasm.Component) -> Iterator[Rig]:
    rig = Rig(zoo)
    yield rig
    rig.loop.guard.close()
    rig.loop.close()


# Of honest calls before: none, so that the plain codec sees the lie, or some.
@pytest.mark.parametrize("honest", [0, 6])
@pytest.mark.parametrize("other", [None, "dog"])
@pytest.mark.parametrize(
    ("verb", "name", "before", "where"),
    [
        ("give", "give-cat", (), "give_cat: result"),
        ("give", "give-cats", (LISTED, 1), "give_cats: result[0]"),
        ("give", "give-cat-twice", (), "give_cat_twice: result[0]"),
        ("tell", "keep", (), "host.keep: parameter cat"),
        ("tell", "pet", (), "host.pet: parameter cat"),
        ("tell", "keep-all", (LISTED, 1), "host.keep_all: parameter cats[0]"),
    ],
)
def test_numbers_that_the_host_did_not_give_out(
    rig: Rig,
    verb: str,
    name: str,
    before: tuple[int, ...],
    where: str,
    other: str | None,
    honest: int,
) -> None:
    call = getattr(rig, verb)
    for _ in range(honest):
        cats = [rig.number_of("cat") for _ in range(2)]
        call(name, *before, *cats)
    rig.taken.clear()
    lie = rig.number_of(other) if other else 4711
    with pytest.raises(hlwasm.GuestDataError) as caught:
        call(name, *before, lie, lie)
    assert str(caught.value) == f"{where}: the guest passed an unknown cat: {lie}"
    assert rig.taken == []
    with pytest.raises(hlwasm.SandboxPoisoned):
        call(name, *before, lie, lie)
