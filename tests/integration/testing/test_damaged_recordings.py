"""Recordings that are damaged, edited or never finished."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import hlwasm
from hlwasm.testing import (
    RecordingError,
    ReplayMismatch,
    record,
    record_async,
    replay,
    replay_async,
)
from hlwasm.testing.recording.reading import open_recording
from tests.integration.async_sandbox.test_resources import RESOURCES
from tests.integration.testing.recordings import asking, write_lines

pytestmark = pytest.mark.hypervisor


def test_a_recording_that_fails_leaves_the_old_file(path: Path) -> None:
    component = asking()
    with record(path, component, {"ask": abs}):
        pass
    old = path.read_bytes()
    with pytest.raises(KeyError), record(path, component, {"ask": abs}) as sandbox:
        sandbox.exports.both(1)
        raise KeyError
    assert path.read_bytes() == old
    with (
        pytest.raises(RecordingError, match="too large: pass max_bytes"),
        record(path, component, {"ask": abs}, max_bytes=500) as sandbox,
    ):
        for _ in range(10):
            sandbox.exports.both(1)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(OSError), record(path / "x" / "y", component, {"ask": abs}):
        pass
    # Not even its first line has room.
    with pytest.raises(RecordingError, match="too large"), record(path, component, max_bytes=10):
        pass
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(hlwasm.LinkError), record(path, component, {}):
        pass
    with (
        pytest.raises(RecordingError, match="cannot be restored"),
        record(path, component, {"ask": abs}) as sandbox,
    ):
        sandbox.restore(sandbox.snapshot())


Damage = Callable[[str], str]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: "", "line 1: this is no recording of hlwasm"),
        (lambda text: "[1]\n", "line 1: this is no recording of hlwasm"),
        (lambda text: '{"a": 1}\n', "line 1: this is no recording of hlwasm"),
        (lambda text: text.replace('"format": 2', '"format": 9'), "line 1: a recording of format"),
        (lambda text: text[:-30], "line 5: the recording was cut off in this line"),
        (lambda text: text[: text.rindex("}")], "line 6: the recording was cut off in this line"),
        (lambda text: text.replace('"format": 2', '"format": true'), "line 1: a recording of form"),
        (lambda text: text[: text.index('{"end')], "line 6: the recording has no last line"),
        (lambda text: text[: text.index('{"end') - 1], "line 5: the recording was cut off in this"),
        (lambda text: text.replace('{"end": 5}', '{"end": 4}'), "line 6: the last line does not"),
        (lambda text: text + "x\n", "line 6: the last line does not fit"),
        (lambda text: text.replace('{"call"', '{"cull"'), "line 2: unknown line with cull, args"),
        (lambda text: text.replace('"args": ["1.0"]}', '"args": 1}'), "line 2: a field is missing"),
        (lambda text: text.replace(', "returns": "10.0"', ""), "line 3: a field is missing"),
        (lambda text: text.replace('"returns": "10.0"', '"raises": 1'), "line 3: raises: not an"),
        (lambda text: text.replace('"10.0"', '"ten"'), "line 3: ask returns: line 1, column 1"),
        (lambda text: text.replace('["1.0"]}', '["nan"], "exact": {"0": "é"}}'), "line 2: exact"),
        (lambda text: text.replace('["1.0"]}', '["1.0"], "exact": {"0": ""}}'), "line 2: both 0: "),
        (
            lambda text: text.replace('["1.0"]}', '["1.0"], "exact": {"1": ""}}'),
            "line 2: exact: there is no value 1",
        ),
        (
            lambda text: text.replace('["1.0"]}', '["1.0"], "exact": {"0": "AQAAAAAA+H8="}}'),
            "line 2: both 0: the text and the exact bytes differ",
        ),
        (
            lambda text: text.replace('{"call": "both", "args": ["1.0"]}', '{"drop": "thing-1"}'),
            "line 2: drop: the component gave no resource thing-1",
        ),
        (lambda text: "[" * 100000 + "\n", "line 1: this is no recording of hlwasm"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_with_the_line(path: Path, damage: Damage, message: str) -> None:
    component = asking()
    with record(path, component, {"ask": lambda number: number * 10}) as sandbox:
        sandbox.exports.both(1)
    path.write_text(damage(path.read_text()))
    with pytest.raises(RecordingError) as raised:
        replay(path, component)
    assert str(raised.value).startswith(f"{path}, {message}")


def test_nothing_of_a_file_reaches_a_terminal_unescaped(path: Path) -> None:
    head = '{"hlwasm": "recording", "format": 1}\n'
    for line in ('{"call": "\\u001b[2J", "args": []}', '{"\\u001b[2J": 1}'):
        path.write_text(head + line + '\n{"end": 2}\n')
        with pytest.raises((ReplayMismatch, RecordingError), match="\ufffd\\[2J") as raised:
            replay(path, asking())
        assert "\x1b" not in str(raised.value)


def test_a_file_that_is_too_large_or_missing_is_refused(path: Path) -> None:
    component = asking()
    with record(path, component, {"ask": abs}) as sandbox:
        sandbox.exports.both(1)
    with pytest.raises(RecordingError, match="larger than 100 bytes: pass max_bytes"):
        replay(path, component, max_bytes=100)
    with pytest.raises(FileNotFoundError):
        replay(path.with_name("none"), component)


class Files:
    """Files that have nothing to close."""

    class File:
        """Any object will do."""

    def open(self) -> File:
        return self.File()


@pytest.fixture(scope="module")
def resources() -> hlwasm.Component:
    return hlwasm.load(RESOURCES, cache=False)


@pytest.fixture
def made(path: Path, resources: hlwasm.Component) -> list[str]:
    """The lines but the last of a recording with resources of both sides."""
    imports = {"files": Files(), "dropped": lambda value: None}
    with record(path, resources, imports) as sandbox:
        counters = sandbox.exports.counters
        first, second = counters.Counter(5), counters.Counter(6)
        assert first.value() == 5
        first.drop()
        sandbox.exports.touch()
        sandbox.exports.keep()
        second.drop()
    return path.read_text().splitlines()[:-1]


class Endless(BaseException):
    """A replay did not come to its end."""


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Endless

    old = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


def test_a_resource_that_is_dropped_twice(
    path: Path, resources: hlwasm.Component, made: list[str]
) -> None:
    write_lines(path, made)
    replay(path, resources)
    first = next(index for index, line in enumerate(made) if line.startswith('{"drop"'))
    drop = made[first : first + 3]
    write_lines(path, [*made[: first + 3], *drop, *made[first + 3 :]])
    message = f"line {first + 4}: drop: the component gave no resource counter-1"
    with no_longer_than(10), pytest.raises(RecordingError, match=message):
        replay(path, resources)
    with no_longer_than(10), pytest.raises(RecordingError, match=message):
        asyncio.run(replay_async(path, resources))


def edited(lines: list[str], chance: random.Random) -> list[str]:
    """The lines with one to three changes, but for the first."""
    lines = list(lines)
    for _ in range(chance.randint(1, 3)):
        index, other = (chance.randrange(1, len(lines)) for _ in range(2))
        kind = chance.randrange(5)
        if kind == 0 and len(lines) > 3:
            del lines[index]
        elif kind == 1:
            lines.insert(other, lines[index])
        elif kind == 2:
            lines[index], lines[other] = lines[other], lines[index]
        elif kind == 3:
            by = chance.choice((-1, 1))
            for number in range(1, 6):
                if f"-{number}" in lines[index]:
                    lines[index] = lines[index].replace(f"-{number}", f"-{number + by}")
                    break
        else:
            words = ("returns", "raises", "drop", "dropped", "call", "host")
            old, new = chance.sample(words, 2)
            lines[index] = lines[index].replace(f'"{old}"', f'"{new}"')
    return lines


def test_edited_recordings_are_replayed_or_refused(
    path: Path, resources: hlwasm.Component, made: list[str]
) -> None:
    chance = random.Random(20)
    limits = hlwasm.Limits(deadline=2)
    seen: Counter[str] = Counter()
    for _ in range(120):
        write_lines(path, edited(made, chance))
        text = path.read_text()
        with no_longer_than(20):
            try:
                replay(path, resources, limits=limits)
                seen["replayed"] += 1
            except (ReplayMismatch, RecordingError) as error:
                seen[type(error).__name__] += 1
            except BaseException as error:
                raise AssertionError(f"{error!r} of\n{text}") from error
    assert seen.keys() == {"replayed", "ReplayMismatch", "RecordingError"}


def test_paths_and_components_that_are_none(path: Path) -> None:
    anything: Any = "calculator.wasm"
    expected = "expected a hlwasm.Component, as hlwasm.load makes, not str"
    with pytest.raises(TypeError, match=expected), record(path, anything):
        pass

    async def main() -> None:
        with pytest.raises(TypeError, match=expected):
            async with record_async(path, anything):
                pass

    asyncio.run(main())
    for folder in ("", ".", path.parent):
        with pytest.raises(IsADirectoryError), record(folder, asking(), {"ask": abs}):
            pass
    assert list(path.parent.iterdir()) == []


def test_a_recording_may_come_through_a_pipe(path: Path) -> None:
    component = asking()
    with record(path, component, {"ask": abs}) as sandbox:
        sandbox.exports.both(1)
    pipe = path.with_name("pipe")
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    assert replay(pipe, component).host_calls == 2
    writer.join()


def test_reading_takes_little_memory(path: Path) -> None:
    calls = 5000
    line = '{"call": "both", "args": ["1.0"]}\n{"returns": "3.0"}\n'
    text = '{"hlwasm": "recording", "format": 2}\n' + calls * line
    path.write_text(text + f'{{"end": {2 * calls + 1}}}\n')
    tracemalloc.start()
    try:
        with open_recording(path, 1 << 20) as recording:
            while recording.event is not None:
                recording.advance()
        assert recording.line == 2 * calls + 2
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()
