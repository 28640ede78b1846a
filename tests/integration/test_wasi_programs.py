"""C programs in micro-VMs: arguments, streams, clocks, random numbers and exit codes."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import hlwasm
from hlwasm import Wasi
from hlwasm.errors import Cancelled, Trap
from tests.interrupts import interrupted

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain("ziglang")]

SOURCE = Path(__file__).with_name("wasi_probe.c")


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> hlwasm.Component:
    """The probe, compiled to wasm."""
    output = tmp_path_factory.mktemp("wasi") / "wasi_probe.wasm"
    options = ["-target", "wasm32-wasi", "-O1", "-Wall", "-Wextra", "-Werror", "-Wl,--strip-debug"]
    subprocess.run(
        [sys.executable, "-m", "ziglang", "cc", *options, str(SOURCE), "-o", str(output)],
        check=True,
        timeout=600,
    )
    return hlwasm.load(output, cache=False)


Run = Callable[..., tuple[int, bytes, bytes]]


@pytest.fixture
def run(probe: hlwasm.Component) -> Run:
    """Runs a task of the probe; answers exit code, output and error output."""

    def run(*task: str, **grants: object) -> tuple[int, bytes, bytes]:
        out, err = io.BytesIO(), io.BytesIO()
        grants = {"stdout": out, "stderr": err, **grants}
        wasi = Wasi(args=("probe", *task), **grants)  # type: ignore[arg-type]
        with probe.instantiate(wasi=wasi) as sandbox:
            code = sandbox.run()
        return code, out.getvalue(), err.getvalue()

    return run


def test_arguments_and_environment(run: Run) -> None:
    code, out, err = run("arguments", "-x", "zwölf €", "", env={"HOME": "/home", "EMPTY": ""})
    assert (code, err) == (0, b"")
    assert out.decode().splitlines() == [
        "0:probe",
        "1:arguments",
        "2:-x",
        "3:zwölf €",
        "4:",
        "HOME=/home",
        "EMPTY=",
    ]


def test_nothing_of_this_process_reaches_the_program(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "1")
    _, out, _ = run("arguments")
    assert out == b"0:probe\n1:arguments\n"
    code, out, _ = run("files")
    assert code == 0
    assert out.count(b"denied") == 4
    assert b"opened" not in out


@pytest.mark.parametrize("how", ["return", "exit", "quick-exit"])
@pytest.mark.parametrize("code", [0, 1, 7, 127, 255])
def test_exit_codes(run: Run, how: str, code: int) -> None:
    assert run(how, str(code)) == (code, b"", b"")


def test_abort_traps(run: Run) -> None:
    with pytest.raises(Trap, match="unreachable"):
        run("abort")


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 100_000, 1_000_003])
def test_input_is_copied_to_output(run: Run, size: int) -> None:
    content = os.urandom(size)
    code, out, err = run("copy", stdin=content)
    assert (code, err) == (0, b"%d bytes\n" % size)
    assert out == content


def test_input_and_output_through_pipes_at_the_programs_pace(run: Run) -> None:
    read_end, write_end = os.pipe()

    def feed() -> None:
        with open(write_end, "wb", buffering=0) as file:  # noqa: PTH123
            for word in (b"one ", b"two ", b"three"):
                time.sleep(0.03)
                file.write(word)

    feeder = threading.Thread(target=feed)
    feeder.start()
    with open(read_end, "rb") as stdin:  # noqa: PTH123
        code, out, err = run("copy", stdin=stdin)
    feeder.join()
    assert (code, out, err) == (0, b"one two three", b"13 bytes\n")


def test_files_of_the_host_as_streams(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 300_000)
    with (tmp_path / "in").open("rb") as stdin, (tmp_path / "out").open("wb") as stdout:
        code, _, _ = run("copy", stdin=stdin, stdout=stdout)
        # The program's output is flushed before the sandbox is gone.
        assert (tmp_path / "out").stat().st_size == 300_000
    assert code == 0


def test_many_lines(run: Run) -> None:
    code, out, _ = run("lines", "50000")
    assert code == 0
    assert out == b"".join(b"line %d\n" % i for i in range(50_000))


def test_one_large_write(run: Run) -> None:
    size = 20_000_000
    code, out, _ = run("block", str(size))
    assert code == 0
    assert out == (bytes(range(97, 123)) * (size // 26 + 1))[:size]


def test_output_is_logged_by_default(
    probe: hlwasm.Component, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hlwasm.guest")
    with probe.instantiate(wasi=Wasi(args=["probe", "copy"], stdin=b"one\ntwo\nrest")) as sandbox:
        assert sandbox.run() == 0
    logged = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert sorted(logged) == [
        ("INFO", "one"),
        ("INFO", "rest"),
        ("INFO", "two"),
        ("WARNING", "12 bytes"),
    ]


def test_a_reader_that_is_gone_is_an_error_for_the_program(run: Run) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with open(write_end, "wb", buffering=0) as stdout:  # noqa: PTH123
        code, _, err = run("copy", stdin=b"x", stdout=stdout)
    assert code == 1
    assert err.startswith(b"write: ")


def test_a_full_device_is_an_error_for_the_program(run: Run) -> None:
    with open("/dev/full", "wb", buffering=0) as stdout:  # noqa: PTH123
        code, _, err = run("copy", stdin=b"x", stdout=stdout)
    assert (code, err) == (1, b"write: No space left on device\n")


def test_an_error_of_the_hosts_callable_reaches_the_caller(run: Run) -> None:
    def refuse(data: bytes) -> None:
        raise ZeroDivisionError("no output today")

    with pytest.raises(ZeroDivisionError, match="no output today"):
        run("copy", stdin=b"x", stdout=refuse)


def test_clocks(run: Run) -> None:
    before = time.time()
    code, out, _ = run("clocks", "30")
    assert code == 0
    now, slept = out.split()
    assert before - 0.001 <= float(now) <= time.time()
    assert 30e6 <= int(slept) < 2e9


def test_virtual_clocks(run: Run) -> None:
    now = 0

    def sleep(nanoseconds: int) -> None:
        nonlocal now
        now += nanoseconds

    start = time.monotonic()
    _, out, _ = run(
        "clocks",
        "3600000",
        wall_clock=lambda: 1_500_000_000_123_456_789,
        monotonic_clock=lambda: now,
        sleep=sleep,
    )
    assert out == b"1500000000.123456789 3600000000000\n"
    assert time.monotonic() - start < 60


def test_random_numbers(run: Run) -> None:
    _, first, _ = run("random", "32")
    _, second, _ = run("random", "32")
    assert len(bytes.fromhex(first.decode())) == 32
    assert first != second


def test_random_numbers_of_the_hosts_choice(run: Run) -> None:
    _, out, _ = run("random", "5", random=lambda length: bytes(range(1, length + 1)))
    assert out == b"0102030405\n"


def test_waiting_for_input(run: Run) -> None:
    read_end, write_end = os.pipe()
    with (
        open(read_end, "rb") as stdin,  # noqa: PTH123
        open(write_end, "wb", buffering=0) as writer,  # noqa: PTH123
    ):
        assert run("input", "30", stdin=stdin)[1] == b"0 none\n"
        late = threading.Timer(0.05, writer.write, [b"x"])
        late.start()
        assert run("input", "60000", stdin=stdin)[1] == b"1 input\n"
        late.join()


def test_streams_are_no_terminals_unless_they_are(run: Run) -> None:
    assert run("terminals")[1] == b"0 0 0\n"
    person, program = os.openpty()
    with (
        open(person, "rb", buffering=0),  # noqa: PTH123
        open(program, "rb") as stdin,  # noqa: PTH123
    ):
        assert run("terminals", stdin=stdin)[1] == b"1 0 0\n"


def test_cancel_ends_a_program_that_waits_for_input(probe: hlwasm.Component) -> None:
    read_end, write_end = os.pipe()
    with (
        open(read_end, "rb") as stdin,  # noqa: PTH123
        open(write_end, "wb"),  # noqa: PTH123
        probe.instantiate(wasi=Wasi(args=["probe", "copy"], stdin=stdin)) as sandbox,
    ):
        canceller = threading.Timer(0.1, sandbox.cancel)
        canceller.start()
        start = time.monotonic()
        with pytest.raises(Cancelled):
            sandbox.run()
        canceller.join()
        assert time.monotonic() - start < 5


def test_control_c_ends_a_program_that_sleeps(probe: hlwasm.Component) -> None:
    with probe.instantiate(wasi=Wasi(args=["probe", "clocks", "60000"])) as sandbox:
        start = time.monotonic()
        interrupted(sandbox.run, 0.1)
        assert time.monotonic() - start < 5
