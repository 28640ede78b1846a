"""Resources whose WIT uses the names that Python gives a meaning, and what has few functions."""

from __future__ import annotations

from typing import Any

import pytest

import hlwasm
from tests.integration.conftest import Start

pytestmark = pytest.mark.hypervisor

NAMES = b"""(component
  (import "demo:names/files@0.2.1" (instance $files
    (export "file" (type $file (sub resource)))
    (export "[constructor]file" (func (result (own $file))))
    (export "[method]file.close" (func (param "self" (borrow $file))))))
  (alias export $files "file" (type $file))
  (core func $new (canon lower (func $files "[constructor]file")))
  (core func $close (canon lower (func $files "[method]file.close")))
  (core func $end (canon resource.drop $file))
  (core module $m
    (import "" "new" (func $new (result i32)))
    (import "" "close" (func $close (param i32)))
    (import "" "end" (func $end (param i32)))
    (global $destroyed (mut i32) (i32.const 0))
    (func (export "run") (local $file i32)
      (local.set $file (call $new))
      (call $close (local.get $file))
      (call $end (local.get $file)))
    (func (export "destroy") (param i32)
      (if (i32.eqz (local.get 0)) (then unreachable))
      (global.set $destroyed (i32.add (global.get $destroyed) (local.get 0))))
    (func (export "destroyed") (result i32) (global.get $destroyed))
    (func (export "number") (param i32) (result i32) (local.get 0)))
  (core instance $i (instantiate $m (with "" (instance
    (export "new" (func $new)) (export "close" (func $close)) (export "end" (func $end))))))
  (type $thing (resource (rep i32) (dtor (func $i "destroy"))))
  (core func $make-thing (canon resource.new $thing))
  (func $make (param "number" u32) (result (own $thing)) (canon lift (core func $make-thing)))
  (func $number (param "self" (borrow $thing)) (result u32)
    (canon lift (core func $i "number")))
  (func $destroyed (result u32) (canon lift (core func $i "destroyed")))
  (component $Things
    (import "thing" (type $thing (sub resource)))
    (import "make" (func $make (param "number" u32) (result (own $thing))))
    (import "number" (func $number (param "self" (borrow $thing)) (result u32)))
    (import "destroyed" (func $destroyed (result u32)))
    (export $thing' "thing" (type $thing))
    (export "[method]thing.drop" (func $number)
      (func (param "self" (borrow $thing')) (result u32)))
    (export "make" (func $make) (func (param "number" u32) (result (own $thing'))))
    (export "destroyed" (func $destroyed)))
  (component $Bare
    (import "bare" (type $bare (sub resource)))
    (import "make" (func $make (param "number" u32) (result (own $bare))))
    (export $bare' "bare" (type $bare))
    (export "make" (func $make) (func (param "number" u32) (result (own $bare')))))
  (instance $things (instantiate $Things
    (with "thing" (type $thing)) (with "make" (func $make)) (with "number" (func $number))
    (with "destroyed" (func $destroyed))))
  (type $bare (resource (rep i32)))
  (core func $make-bare (canon resource.new $bare))
  (func $make-bare' (param "number" u32) (result (own $bare))
    (canon lift (core func $make-bare)))
  (instance $bare-ones (instantiate $Bare
    (with "bare" (type $bare)) (with "make" (func $make-bare'))))
  (export "demo:names/things@0.2.1" (instance $things))
  (export "demo:names/bare-ones@0.2.1" (instance $bare-ones))
  (func (export "run") (canon lift (core func $i "run"))))"""


class File:
    """Its ``close`` is a function of the WIT; its end is ``__exit__``."""

    happened: list[str]

    def close(self) -> None:
        self.happened.append("close")

    def __exit__(self, *_: object) -> None:
        self.happened.append("exit")


@pytest.fixture
def sandbox(start: Start) -> hlwasm.Sandbox:
    File.happened = []
    return start(NAMES, {"files": {"file": File}})


def test_a_host_resource_that_the_guest_can_close(sandbox: hlwasm.Sandbox) -> None:
    sandbox.exports.run()
    assert File.happened == ["close", "exit"]


def test_a_guest_resource_with_a_method_called_drop(sandbox: hlwasm.Sandbox) -> None:
    things = sandbox.exports.things
    thing: Any = things.make(5)
    assert thing.drop_() == thing.drop_() == 5
    assert things.destroyed() == 0
    thing.drop()
    assert things.destroyed() == 5
    with pytest.raises(hlwasm.WitValueError, match="this thing was dropped"):
        thing.drop_()


@pytest.mark.parametrize("garbage", [False, True])
def test_a_destructor_that_traps_is_named(sandbox: hlwasm.Sandbox, garbage: bool) -> None:
    things = sandbox.exports.things
    clean = sandbox.snapshot()
    thing: Any = things.make(0)
    with pytest.raises(hlwasm.Trap, match=r"^dropping a thing: wasm `unreachable`") as caught:
        if garbage:
            del thing
            things.destroyed()
        else:
            thing.drop()
    assert caught.value.code is hlwasm.TrapCode.UNREACHABLE
    assert sandbox.status is hlwasm.Status.POISONED
    sandbox.restore(clean)
    assert things.destroyed() == 0


def test_a_guest_resource_without_any_function(sandbox: hlwasm.Sandbox) -> None:
    bare_ones = sandbox.exports["demo:names/bare-ones@0.2.0"]
    with bare_ones.make(3) as bare:
        assert isinstance(bare, bare_ones.Bare)
    with pytest.raises(TypeError, match="Bare has no constructor in its WIT"):
        bare_ones.Bare()
    with pytest.raises(TypeError, match="no constructor"):
        sandbox.exports.things.Thing(3)
