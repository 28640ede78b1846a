"""The second run of a large component starts from what the first one kept."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hlwasm.cli import exit_codes

from . import programs
from .programs import save
from .running import CommandLine, Ended

pytestmark = pytest.mark.hypervisor

EXIT = "(call $exit (i32.const 7))"


def snapshots(command: CommandLine) -> list[Path]:
    return sorted((command.cache / "snapshots").glob("*.snapshot"))


def from_snapshot(done: Ended) -> bool:
    """Whether a run with ``--timings`` started from a snapshot."""
    assert ("snapshot (cached)" in done.stderr) != ("snapshot (none)" in done.stderr)
    return "snapshot (cached)" in done.stderr


def test_the_second_run_starts_from_the_first_one_s_snapshot(
    fresh: CommandLine, tmp_path: Path
) -> None:
    program = save(tmp_path, programs.large(then=EXIT))
    found = []
    for _ in range(3):
        done = fresh("run", "--timings", program)
        assert (done.code, done.stdout) == (7, "ready\n")
        found.append(from_snapshot(done))
    assert found == [False, True, True]
    assert len(snapshots(fresh)) == 1
    assert [each.name for each in (fresh.cache / "snapshots").iterdir()] == [
        snapshots(fresh)[0].name
    ]
    # The user sees it, and gets rid of it.
    report = json.loads(fresh("cache", "info", "--json").stdout)
    assert sorted(each["kind"] for each in report["entries"]) == ["artifact", "snapshot"]
    assert "2 entries good" in fresh("cache", "verify").stdout
    assert "removed 2 entries" in fresh("cache", "clear").stdout
    assert snapshots(fresh) == []


def test_how_the_program_ends_does_not_matter(fresh: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.large(then="unreachable"))
    for expected in (False, True):
        done = fresh("run", "--timings", program)
        assert (done.code, done.stdout) == (exit_codes.TRAP, "ready\n")
        assert from_snapshot(done) == expected
    assert "trap: wasm `unreachable`" in done.stderr


def test_small_programs_and_no_cache_keep_nothing(fresh: CommandLine, tmp_path: Path) -> None:
    small, large = save(tmp_path, programs.exit_with(3), "small.wat"), tmp_path / "large.wat"
    large.write_text(programs.large())
    for _ in range(2):
        assert fresh("run", "-q", small).code == 3
        done = fresh("run", "-q", "--no-cache", "--timings", large)
        assert (done.code, done.stdout) == (0, "ready\n")
        assert "snapshot" not in done.stderr
    assert snapshots(fresh) == []


def test_an_artifact_from_elsewhere_has_no_part_in_it(fresh: CommandLine, tmp_path: Path) -> None:
    """It names its own key, and could pass off its state as that of another component."""
    program, artifact = save(tmp_path, programs.large()), tmp_path / "program.cwasm"
    assert fresh("compile", "-q", program, "-o", artifact).code == 0
    for _ in range(2):
        assert not from_snapshot(fresh("run", "-q", "--timings", artifact))
    assert snapshots(fresh) == []
    assert fresh("run", "-q", program).code == 0
    assert len(snapshots(fresh)) == 1
    assert not from_snapshot(fresh("run", "-q", "--timings", artifact))


def test_other_limits_of_memory_are_another_state(fresh: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.large())
    runs = [
        ((), False), (("--memory", "64M"), False), (("--memory", "64M"), True), ((), True),
        # These say nothing of the state.
        (("--deadline", "60", "--max-output", "1M"), True), (("--memory", "32M"), False),
    ]  # fmt: skip
    for options, expected in runs:
        done = fresh("run", "--timings", *options, program)
        assert (done.code, done.stdout, from_snapshot(done)) == (0, "ready\n", expected)
    assert len(snapshots(fresh)) == 3
    # A limit that forbids the program is not got around.
    done = fresh("run", "-q", "--memory", "1M", program)
    assert done.code == exit_codes.LIMIT


def test_a_changed_program_is_another_one(fresh: CommandLine, tmp_path: Path) -> None:
    for text in ("one\\n", "two\\n"):
        program = save(tmp_path, programs.large(text=text))
        for expected in (False, True):
            done = fresh("run", "--timings", program)
            assert done.stdout == f"{text[:3]}\n"
            assert from_snapshot(done) == expected


def test_a_component_that_reads_the_environment_gets_its_own(
    fresh: CommandLine, tmp_path: Path
) -> None:
    component = save(tmp_path, programs.large_environment())
    for variables in ((), ("-e", "A=1"), ("-e", "A=1", "-e", "B=2"), ("-e", "A=1")):
        done = fresh("call", "--timings", *variables, component, "size()")
        assert done.stdout == f"{len(variables) // 2}\n"
        assert not from_snapshot(done)
    # Nothing of the environment is left on disk.
    assert snapshots(fresh) == []


@pytest.mark.parametrize("kind", ["empty", "cut", "header", "trailer", "foreign", "directory"])
def test_an_entry_that_is_damaged_is_made_again(
    fresh: CommandLine, tmp_path: Path, kind: str
) -> None:
    program = save(tmp_path, programs.large(then=EXIT))
    assert fresh("run", "-q", program).code == 7
    (entry,) = snapshots(fresh)
    whole = entry.read_bytes()
    damaged = {
        "empty": b"",
        "cut": whole[:-5000],
        "header": whole[:40] + bytes([whole[40] ^ 1]) + whole[41:],
        "trailer": whole[:-10] + bytes([whole[-10] ^ 1]) + whole[-9:],
        "foreign": b"\x7fELF" + whole[4:],
    }
    entry.unlink()
    if kind == "directory":
        entry.mkdir()
    else:
        entry.write_bytes(damaged[kind])
    done = fresh("run", "--timings", program)
    assert (done.code, done.stdout) == (7, "ready\n")
    assert not from_snapshot(done)
    assert "ignored" not in done.stderr
    if kind != "directory":
        assert entry.read_bytes()[:4096] == whole[:4096] or len(entry.read_bytes()) > 4096
        assert from_snapshot(fresh("run", "--timings", program))


def test_damaged_pages_are_found_by_verify(fresh: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.large())
    assert fresh("run", "-q", program).code == 0
    (entry,) = snapshots(fresh)
    entry.chmod(0o600)
    with entry.open("r+b") as file:
        file.seek(8192)
        file.write(b"damage")
    done = fresh("cache", "verify")
    assert done.code == exit_codes.FAILURE
    assert "its pages are" in done.stderr
    assert snapshots(fresh) == []


def test_an_entry_that_others_can_write_is_not_used(fresh: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.large())
    assert fresh("run", "-q", program).code == 0
    snapshots(fresh)[0].chmod(0o666)
    assert not from_snapshot(fresh("run", "--timings", program))
    assert from_snapshot(fresh("run", "--timings", program))


def test_a_snapshot_that_cannot_be_saved_costs_nothing(fresh: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.large(then=EXIT))
    fresh.cache.mkdir()
    # Where a directory should be; the tests may run as root, who may write everywhere.
    (fresh.cache / "snapshots").write_text("in the way")
    for _ in range(2):
        done = fresh("run", program)
        assert (done.code, done.stdout, done.stderr) == (7, "ready\n", "")


def test_two_processes_at_once(fresh: CommandLine, tmp_path: Path) -> None:
    program = save(tmp_path, programs.large(then=EXIT))
    for _ in range(2):
        running = [
            subprocess.Popen(
                fresh.command("run", "-q", program),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=fresh.environment({}),
            )
            for _ in range(3)
        ]
        for process in running:
            assert process.communicate(timeout=120) == (b"ready\n", b"")
            assert process.returncode == 7
    assert len(list((fresh.cache / "snapshots").iterdir())) == 1
    assert from_snapshot(fresh("run", "--timings", program))
    assert fresh("cache", "verify").code == 0
