"""Type checkers on generated packages, and on programs that use them, right and wrong.

Both are run once, over all packages together: mypy --strict, and pyright (basedpyright, which
brings its own Node.js) in strict mode.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from hlwasm.bindgen.files import write
from hlwasm.bindgen.package import generate
from hlwasm.wit.sources import parse_wit, read_wit
from tests.unit.bindgen.worlds import WORLDS

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
# Sample → its world, where there are several.
SAMPLES = {
    "calculator": None,
    "image_filter_rs": None,
    "inventory_py": None,
    "kitchen_sink": "kitchen-sink",
    "template_js": None,
    "text_stats_c": None,
}
GOOD, BAD = "good_program.py", "bad_program.py"


@dataclass(frozen=True)
class Verdict:
    """What a type checker said: file name → the lines with errors."""

    errors: dict[str, list[int]]
    text: str

    def packages(self) -> str:
        """What it said about generated packages."""
        return "" if set(self.errors) <= {GOOD, BAD} else self.text


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all packages and programs, as a user's project would be."""
    folder = tmp_path_factory.mktemp("project")
    for sample, world in SAMPLES.items():
        description = read_wit(ROOT / "components" / sample / "wit", world)
        write(generate(description, asynchronous=True), folder / sample)
    plugin = read_wit(ROOT / "tests" / "unit" / "bindgen" / "plugin.wit")
    write(generate(plugin, asynchronous=True), folder / "plugin")
    for name, wit in WORLDS.items():
        write(generate(parse_wit(wit), asynchronous=True, wasi=True), folder / name)
        write(generate(parse_wit(wit)), folder / f"{name}_plain")
    for program in (GOOD, BAD):
        (folder / program).write_text((HERE / f"{program}.txt").read_text())
    (folder / "mypy.ini").write_text(
        "[mypy]\nstrict = true\npython_version = 3.10\n"
        "[mypy-_cffi_backend.*]\nignore_missing_imports = true\n"
    )
    (folder / "pyrightconfig.json").write_text(
        json.dumps(
            {"typeCheckingMode": "strict", "pythonVersion": "3.10", "extraPaths": [str(ROOT)]}
        )
    )
    return folder


@pytest.fixture(scope="module")
def mypy(project: Path) -> Verdict:
    import os

    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", "."],
        cwd=project,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    found = re.findall(r"^(?:\./)?([\w/]+\.py):(\d+): error", done.stdout, re.MULTILINE)
    return Verdict(_lines(found), done.stdout)


@pytest.fixture(scope="module")
def pyright(project: Path) -> Verdict:
    done = subprocess.run(
        [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable],
        cwd=project,
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout)
    # It would have nothing to say where it saw nothing.
    assert said["summary"]["filesAnalyzed"] == len(list(project.rglob("*.py")))
    errors = [each for each in said["generalDiagnostics"] if each["severity"] == "error"]
    found = [
        (str(Path(each["file"]).relative_to(project)), each["range"]["start"]["line"] + 1)
        for each in errors
    ]
    text = "\n".join(f"{each['file']}: {each['range']} {each['message']}" for each in errors)
    return Verdict(_lines(found), text)


def _lines(found: list[tuple[str, int]] | list[tuple[str, str]]) -> dict[str, list[int]]:
    errors: dict[str, list[int]] = {}
    for name, line in found:
        errors.setdefault(name, []).append(int(line))
    return errors


@pytest.fixture(params=["mypy", "pyright"])
def verdict(request: pytest.FixtureRequest) -> Verdict:
    """Of each type checker."""
    found: Verdict = request.getfixturevalue(request.param)
    return found


def test_packages_pass(verdict: Verdict) -> None:
    assert verdict.packages() == ""


def test_a_right_program_passes(verdict: Verdict) -> None:
    assert verdict.errors.get(GOOD, []) == [], verdict.text


def test_each_mistake_is_an_error(verdict: Verdict) -> None:
    lines = (HERE / f"{BAD}.txt").read_text().splitlines()
    wrong = [number for number, line in enumerate(lines, 1) if "# wrong" in line]
    assert len(wrong) > 15
    # One mistake may be several errors.
    assert sorted(Counter(verdict.errors[BAD])) == wrong, verdict.text
