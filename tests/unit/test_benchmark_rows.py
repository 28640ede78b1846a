"""Rows of the benchmarks: what a goal bounds, and the picture of them; the kernel's counts."""

from __future__ import annotations

import importlib
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from benchmarks.__main__ import SUBJECTS
from benchmarks.measure import Row, Times
from benchmarks.plot import svg


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("a", 3, baseline="b", baseline_value=2, goal=1.5), True),
        (Row("a", 3, baseline="b", baseline_value=2, goal=1.4), False),
        (Row("a", 3, baseline="b", baseline_value=2), None),
        (Row("a", 3, goal=1.4), None),
        (Row("a", 0, goal=0, goal_of="value"), True),
        (Row("a", 3, baseline="b", baseline_value=2, goal=2.9, goal_of="value"), False),
        (Row("a", 1.9, goal=1.8, goal_of="value", better="larger"), True),
        (Row("a", 1.7, goal=1.8, goal_of="value", better="larger"), False),
    ],
)
def test_a_goal_bounds_the_ratio_or_the_value(row: Row, met: bool | None) -> None:
    assert row.met is met
    assert row.as_json()["met"] is met


def test_the_picture_has_a_pair_of_bars_for_each_row_that_was_measured() -> None:
    times, other = Times(40.0, 0.1), Times(4000.0, 0.1)
    rows = [
        Row.of("call.add", times, "a < b & c", other),
        Row.of("run.cold", times, "python", other),
        Row.of("pool.small", times),
        Row.of("unknown", times, "x", other),
    ]
    picture = ElementTree.fromstring(svg(rows, "a <machine>"))
    bars = [each for each in picture.iter() if each.get("class") in ("ours", "theirs")]
    assert len(bars) == 4
    widths = [float(bar.get("width", "")) for bar in bars]
    assert widths[0] < widths[1]
    assert "4 ms a < b & c" in [text.text for text in picture.iter() if text.text]


def test_the_picture_of_nothing_is_a_picture() -> None:
    ElementTree.fromstring(svg([], ""))


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_can_be_measured(subject: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{subject}").measure)


COUNTS = """
import hlwasm
from benchmarks.kvm_statistics import only_vcpu, page_faults_of, statistics_of
text = b'''(module (memory 2)
  (func (export "f") (i32.store (i32.const 65536) (i32.const 1))))'''
with hlwasm.load(text).instantiate() as sandbox:
    vcpu = only_vcpu()
    before = page_faults_of(vcpu)
    sandbox.exports.f()
    assert before > 0 and page_faults_of(vcpu) > before
    assert statistics_of(vcpu)["exits"] > 0
"""


@pytest.mark.hypervisor
def test_the_kernel_counts_the_page_faults_of_a_guest() -> None:
    # In a process that has one vCPU.
    subprocess.run([sys.executable, "-c", COUNTS], check=True, timeout=60)
