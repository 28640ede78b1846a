"""What a value costs on its way in and out, kind by kind, beside wasmtime-py."""

from __future__ import annotations

import gc
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from wasmtime.component import Variant

import hlwasm
from benchmarks.host_part import EchoPart
from benchmarks.measure import Row, batch_time, in_turns
from benchmarks.peers import bare_exit, peer_functions
from benchmarks.python_lists import echo
from components.build import BUILD
from tests.integration.kitchen_sink_host import Host

ECHO = "demo:kitchen-sink/echo@1.0.0"
HANDLES = Path(__file__).parent / "components" / "handles.wat"
COUNTERS = "test:bench/counters"
# For a single value: scalars, records and what is made of them; and for a list.
VALUE_GOAL, LIST_GOAL = 1 / 3, 1 / 100
# Elements of a list of numbers, and of others, which take wasmtime-py a hundred times as long.
NUMBERS, OTHERS = 1000, 100
ROUNDS = 25


class Kind(NamedTuple):
    """A kind of value.

    Attributes:
        name: of the row, behind ``codec.``.
        function: the echo function that takes and returns it.
        ours: the value for hlwasm.
        theirs: the same for wasmtime-py.
        goal: of the ratio.
        calls: in a batch.
        floor: what Python cannot do without for such a value.
        least: what not even code in C can, but for the rest of a call.
    """

    name: str
    function: str
    ours: Any
    theirs: Any
    goal: float | None = VALUE_GOAL
    calls: int = 20
    floor: Callable[[], object] | None = None
    least: Callable[[], object] | None = None


def _values(types: Any) -> list[Kind]:
    point, color = types.Point(1.5, 2.5), types.Color.GREEN
    text = "hello world"
    inner = types.Inner([point, point], types.Mixed.Text(text), types.Flags9.F0 | types.Flags9.F3)
    their_point = SimpleNamespace(x=1.5, y=2.5)
    their_text = Variant("text", text)
    their_inner = SimpleNamespace(points=[their_point] * 2, kind=their_text, bits={"f0", "f3"})
    padded = {"a": 1, "b": 2, "c": True, "d": text, "e": 3, "f": 0.5, "g": "x"}
    return [
        Kind("bool", "echo-bool", True, True),
        Kind("u8", "echo-u8", 7, 7),
        Kind("s32", "echo-s32", -7, -7),
        Kind("u64", "echo-u64", 1 << 63, 1 << 63),
        Kind("f32", "echo-f32", 0.5, 0.5),
        Kind("f64", "echo-f64", 0.5, 0.5),
        Kind("char", "echo-char", "x", "x"),
        Kind("string", "echo-string", text, text),
        Kind("record", "echo-point", point, their_point),
        Kind("record.7_fields", "echo-padded", types.Padded(**padded), SimpleNamespace(**padded)),
        Kind("record.nested", "echo-inner", inner, their_inner),
        Kind("tuple", "echo-tuple2", (5, text), (5, text)),
        Kind("variant", "echo-mixed", types.Mixed.Text(text), their_text),
        Kind("enum", "echo-color", color, color.value),
        Kind("flags", "echo-flags9", types.Flags9.F0 | types.Flags9.F3, {"f0", "f3"}),
        Kind("option", "echo-option-u64", 5, 5),
        Kind("result", "echo-result-u32", hlwasm.Ok(5), 5),
    ]


def _lists(types: Any) -> list[Kind]:
    numbers = list(range(NUMBERS))
    floats = [each + 0.5 for each in numbers]
    data = bytes(range(250)) * (NUMBERS // 250)
    texts = ["hello world"] * OTHERS
    points = [types.Point(1.5, 2.5)] * OTHERS
    their_points = [SimpleNamespace(x=1.5, y=2.5)] * OTHERS
    in_c = echo("string", texts)
    made = [
        Kind("list_u8", "echo-list-u8", data, data, LIST_GOAL, 5),
        Kind("list_string", "echo-list-string", texts, texts, LIST_GOAL, 5, least=in_c),
        Kind("list_record", "echo-list-point", points, their_points, LIST_GOAL, 5),
    ]
    for name, code, values in (("s32", "i", numbers), ("f64", "d", floats)):
        kind = Kind(f"list_{name}", f"echo-list-{name}", values, values, LIST_GOAL, 5)
        made.append(kind._replace(floor=_floor(code, values), least=echo(name, values)))
    return made


def _floor(code: str, numbers: list[Any]) -> Callable[[], object]:
    """Looks at the type of each number, and makes as many."""
    made: Any = memoryview(array(code, numbers))
    return lambda: (list(map(type, numbers)), made.tolist())


def _arrays(made: Callable[[str, Sequence[float]], Any]) -> list[Kind]:
    numbers = list(range(NUMBERS))
    floats = [each + 0.5 for each in numbers]
    return [
        Kind("list_s32", "echo-list-s32", made("i", numbers), numbers, LIST_GOAL, 5),
        Kind("list_f64", "echo-list-f64", made("d", floats), floats, LIST_GOAL, 5),
    ]


def measure() -> list[Row]:
    """A row for each kind: the host's part alone, and the whole call less one bare exit."""
    # wasmtime-py makes objects by the thousand, and Python then looks through all that are alive
    # for garbage: those of this program are not its fault.
    gc.collect()
    gc.freeze()
    try:
        return _measure()
    finally:
        gc.unfreeze()


def _measure() -> list[Row]:
    sample = BUILD / "kitchen_sink.wasm"
    theirs = peer_functions(sample.read_bytes(), ECHO)
    rows = []
    with hlwasm.load(sample).instantiate(Host()) as sandbox:
        types = sandbox.exports[ECHO]
        rows += _rows(sandbox, theirs, [*_values(types), *_lists(types)])
    for name, made in (("array", array), ("numpy", lambda code, items: np.array(items, code))):
        component = hlwasm.load(sample, number_lists=name)  # type: ignore[arg-type]
        with component.instantiate(Host()) as sandbox:
            kinds = [kind._replace(name=f"{kind.name}.{name}") for kind in _arrays(made)]
            rows += _rows(sandbox, theirs, kinds)
    return [*rows, *_handle()]


def _rows(sandbox: hlwasm.Sandbox, theirs: Any, kinds: Sequence[Kind]) -> list[Row]:
    exports = sandbox.exports[ECHO]
    part = EchoPart(sandbox.component)
    rows = []
    for kind in kinds:
        call, their_call = exports[kind.function], theirs(kind.function)
        if not np.array_equal(call(kind.ours), _success(kind.ours)):
            raise AssertionError(f"{kind.function} does not echo")
        their_call(kind.theirs)
        alone = part.echo(ECHO, kind.function, kind.ours)
        rows += _compared(
            sandbox, kind, alone, partial(call, kind.ours), partial(their_call, kind.theirs)
        )
    part.close()
    return rows


def _success(value: Any) -> Any:
    return value.value if isinstance(value, hlwasm.Ok) else value


def _compared(
    sandbox: hlwasm.Sandbox,
    kind: Kind,
    alone: Callable[[int], float],
    ours: Callable[[], object],
    theirs: Callable[[], object],
) -> list[Row]:
    floors = [partial(batch_time, f, kind.calls) for f in (kind.floor, kind.least) if f]
    host, whole, their_whole, exit_, *at_least = in_turns(
        [
            partial(alone, kind.calls),
            partial(batch_time, ours, kind.calls),
            partial(batch_time, theirs, kind.calls),
            partial(bare_exit, sandbox),
            *floors,
        ],
        ROUNDS,
    )
    name, baseline = f"codec.{kind.name}", "wasmtime-py, whole call"
    least = at_least[-1:] if kind.least else []
    floor = at_least[:1] if kind.floor else []
    return [
        Row.of(name, host, baseline, their_whole, kind.goal),
        *[Row.of(f"{name}.floor", host, "types looked at, objects made", x) for x in floor],
        *[Row.of(f"{name}.least", each, baseline, their_whole) for each in least],
        Row.of(f"{name}.less_exit", whole.minus(exit_), baseline, their_whole),
    ]


def _handle() -> list[Row]:
    """A borrowed handle of a resource of the component."""
    component = hlwasm.load(HANDLES)
    theirs = peer_functions(HANDLES.read_text(), COUNTERS)
    with component.instantiate() as sandbox:
        counter = sandbox.exports[COUNTERS].Counter(7)
        resource = theirs("[constructor]counter")(7)
        value = theirs("[method]counter.value")
        part = EchoPart(component)
        kind = Kind("handle", "", None, None)
        rows = _compared(
            sandbox, kind, part.handle(COUNTERS), counter.value, partial(value, resource)
        )
        part.close()
    return rows
