"""Recordings and fakes of components with resources in every place of a value.

What the components do is what the tests of resources have them do.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import Fakes, record, replay, replaying
from tests.integration import test_resources as scenarios
from tests.integration.conftest import Load
from tests.integration.resources_host import Store
from tests.integration.test_resource_names import NAMES

pytestmark = pytest.mark.hypervisor

GUEST = scenarios.TestGuestResources()
HOST = scenarios.TestHostResources()
RUNS: list[Callable[[Any, Store], None]] = [
    lambda guest, _: GUEST.test_constructors_methods_and_static_functions(guest),
    lambda guest, _: GUEST.test_owned_handles_go_to_the_component_and_back_in_every_place(guest),
    lambda guest, _: GUEST.test_lent_handles_go_to_the_component_in_every_place(guest),
    lambda guest, _: GUEST.test_each_destructor_runs_once(guest),
    lambda guest, _: HOST.test_the_component_makes_uses_and_drops_them(guest),
    lambda guest, _: HOST.test_one_that_stays_behind_an_error_is_dropped(guest),
    lambda guest, store: HOST.test_owned_handles_go_to_the_component_and_back_in_every_place(
        guest, store
    ),
    lambda guest, _: HOST.test_in_a_record(guest),
    lambda guest, _: HOST.test_lent_handles_go_to_the_component_in_every_place(guest),
]


@pytest.mark.parametrize("run", RUNS, ids=[str(number) for number in range(len(RUNS))])
@pytest.mark.parametrize("name", ["resources", "resources_c"])
def test_a_run_goes_the_same_way_again(
    load: Load, tmp_path: Path, name: str, run: Callable[[Any, Store], None]
) -> None:
    component, store, path = load(name), Store(), tmp_path / "run.jsonl"
    with record(path, component, {"store": store}, wasi=hlwasm.Wasi()) as sandbox:

        def start(*_: Any, **__: Any) -> hlwasm.Sandbox:
            return sandbox

        run(scenarios.interfaces_of(start, name, store), store)
    assert replay(path, component).calls > 0


def test_functions_of_the_wit_that_are_called_close_and_drop(tmp_path: Path) -> None:
    component, path = hlwasm.load(NAMES, cache=False), tmp_path / "run.jsonl"
    fakes = Fakes(component)
    file = fakes.files.File
    file.close.expect(hlwasm.testing.ANY).once()

    def use(sandbox: hlwasm.Sandbox) -> None:
        sandbox.exports.run()
        thing = sandbox.exports.things.make(5)
        assert thing.drop_() == 5
        with thing:
            pass
        assert sandbox.exports.things.destroyed() == 5

    with record(path, component, fakes) as sandbox:
        use(sandbox)
    fakes.verify()
    assert file.live() == []
    assert [str(call) for call in fakes.calls] == ["files.File()", "files.File.close(file-1)"]
    assert replay(path, component).calls == 5
    with replaying(path, component) as sandbox:
        use(sandbox)
