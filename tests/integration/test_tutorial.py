"""docs/plugins.md is followed, in an empty folder, as a new user would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text()
BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

pytestmark = [pytest.mark.hypervisor, pytest.mark.toolchain]


def run(command: str, folder: Path) -> str:
    """What a command prints, errors too, and how it ends where that is not well."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    code = done.returncode
    return done.stdout + (f"[exit code {code}]\n" if code else "")


def matches(shown: str, printed: str) -> bool:
    """Whether a text is the one shown, in which … stands for anything, also for no lines."""
    pattern = re.escape(shown.strip()).replace("…\\\n", "…").replace("…", ".*")
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


# Two builds by componentize-py and two compilations, which others may delay.
@pytest.mark.timeout(900)
def test_the_page(tmp_path: Path) -> None:
    commands = 0
    for language, name, text in BLOCK.findall(PAGE):
        if language == "console":
            for session in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
                command, _, shown = session.partition("\n")
                printed = run(command, tmp_path)
                assert matches(shown, printed), f"$ {command}\n{printed}"
                commands += 1
            continue
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if language == "edit":
            before, _, after = text.partition("---\n")
            source = path.read_text()
            assert source.count(before) == 1
            text = source.replace(before, after)
        path.write_text(text)
    assert commands == 9


def test_what_matches() -> None:
    assert matches("a\n…\nb … c\n", "a\n1\n2\nb 3 c\n")
    assert matches("a\n…\nb", "a\nb")
    assert not matches("a\n…\nb", "a\nc")
    assert not matches("a", "a\nb")
