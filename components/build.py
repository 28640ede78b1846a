"""Builds the sample components: ``python components/build.py [--list] [NAME …]``.

Each sample is one shell line, run in ``components/`` with the toolchains on the PATH;
``--list`` prints them. A sample is built again only when its sources, its line or the
versions of its tools have changed.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
if not __package__:
    # Run as `python components/build.py`.
    sys.path[0] = str(HERE.parent)

from components.samples import SAMPLES, Sample  # noqa: E402
from components.toolchain.tools import NODE_PROGRAMS, ToolMissing, install, version  # noqa: E402

BUILD = HERE / "build"


class BuildFailed(Exception):
    """A build line failed; the message holds its output."""


def build(name: str) -> Path:
    """Builds one sample unless it is up to date.

    Returns:
        the component or module, in ``components/build``.

    Raises:
        KeyError: there is no such sample.
        ToolMissing: this machine lacks the sample's toolchain, and says which.
        BuildFailed: the toolchain failed.
    """
    sample = SAMPLES[name]
    output = BUILD / f"{name}.wasm"
    stamp = BUILD / f"{name}.stamp"
    BUILD.mkdir(exist_ok=True)
    with lock(BUILD / f"{name}.lock"):
        fingerprint = fingerprint_of(sample)
        if output.exists() and stamp.exists() and stamp.read_text() == fingerprint:
            return output
        for tool in sample.tools:
            with lock(BUILD / f"{tool}.lock"):
                install(tool)
        # The stamp goes first: an interrupted build must not pass for a finished one.
        stamp.unlink(missing_ok=True)
        run(sample.line, output)
        stamp.write_text(fingerprint)
    return output


def run(line: str, output: Path) -> None:
    """Runs a build line as a shell would."""
    search = [str(Path(sys.executable).parent), str(NODE_PROGRAMS), os.environ.get("PATH", "")]
    done = subprocess.run(
        line,
        shell=True,
        cwd=HERE,
        env={**os.environ, "PATH": os.pathsep.join(search)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode != 0:
        raise BuildFailed(f"{line}\n{done.stdout}")
    if not output.exists():
        raise BuildFailed(f"{line}\nended well but made no {output.name}\n{done.stdout}")


def fingerprint_of(sample: Sample) -> str:
    """Hash of everything that the result depends on."""
    digest = hashlib.sha256(sample.line.encode())
    for tool in sample.tools:
        digest.update(f"\0{tool} {version(tool)}".encode())
    for path in source_files(sample):
        digest.update(f"\0{path.relative_to(HERE)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def source_files(sample: Sample) -> list[Path]:
    """The files below the sample's sources, in a stable order."""
    found: list[Path] = []
    for name in sample.sources:
        source = HERE / name
        found += source.rglob("*") if source.is_dir() else [source]
    return sorted(p for p in found if p.is_file() and "__pycache__" not in p.parts)


@contextlib.contextmanager
def lock(path: Path) -> Iterator[None]:
    """Keeps other processes out, such as the workers of pytest-xdist."""
    import fcntl

    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def report(name: str, wanted: bool) -> tuple[str, bool]:
    """Builds one sample; says how that went, and whether it counts as a failure.

    A sample that cannot be built here counts where it was asked for by name, or in CI.
    """
    started = time.perf_counter()
    try:
        output = build(name)
    except ToolMissing as error:
        return f"skipped: {error}", wanted or os.environ.get("HLWASM_REQUIRE_TOOLCHAINS") == "1"
    except BuildFailed as error:
        return f"failed: {error}", True
    seconds = time.perf_counter() - started
    return f"{output.stat().st_size:,} bytes in {seconds:.1f} s", False


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the sample components.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="samples to build (default: all)")
    parser.add_argument("--list", action="store_true", help="print the build lines and stop")
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(SAMPLES))
    if unknown:
        parser.error(f"no such sample: {', '.join(unknown)}; there are: {', '.join(SAMPLES)}")
    if options.list:
        for name in options.names or SAMPLES:
            print(SAMPLES[name].line)
        return 0
    names = options.names or list(SAMPLES)
    status = 0
    # Most toolchains use one core.
    with ThreadPoolExecutor(os.cpu_count()) as workers:
        reports = workers.map(lambda name: report(name, bool(options.names)), names)
        for name, (outcome, failed) in zip(names, reports, strict=True):
            print(f"{name}: {outcome}", flush=True)
            status |= failed
    return status


if __name__ == "__main__":
    sys.exit(main())
