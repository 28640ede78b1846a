"""A picture of the main rows: bars of ours against what they are compared to.

SVG, written here so that no plotting library is needed. Colours follow the reader's scheme,
light or dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from benchmarks.measure import Row

# Name of a row, and what the picture calls it.
_CHOSEN = (
    ("call.add", "call a function"),
    ("host_call.add", "call Python from the guest"),
    ("echo.string_1mib", "1 MiB string, there and back"),
    ("restore.16_pages", "restore, 16 dirty pages"),
    ("restore.256_pages.copies", "restore, 256 dirty pages"),
    ("restore_call.small", "restore and call"),
    ("restore_call.python", "restore and call, Python guest"),
    ("pool.small", "sandbox from a kept VM, first result"),
    ("clone.small", "sandbox in a new VM, first result"),
    ("clone.python", "the same, Python guest"),
    ("clone.small.python_process", "against a process"),
    ("compute.cpython", "a loop in CPython"),
    ("run.cold", "hlwasm run, as a process"),
)
_WIDTH, _LABELS, _RIGHT = 1000, 280, 310
_BAR, _GAP, _TOP = 11, 17, 64
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .small { font-size: 11px; fill: #59636e }
  .title { font-size: 16px; font-weight: 600 }
  .ours { fill: #0969da }
  .theirs { fill: #afb8c1 }
  .grid { stroke: #d1d9e0 }
  .paper { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .small { fill: #9198a1 }
    .ours { fill: #4493f8 }
    .theirs { fill: #656c76 }
    .grid { stroke: #3d444d }
    .paper { fill: #0d1117 }
  }
"""


def svg(rows: Sequence[Row], machine: str) -> str:
    """The picture, as text. Rows that were not measured are left out.

    Args:
        rows: of a whole run.
        machine: one line about where it was.
    """
    by_name = {row.name: row for row in rows}
    bars = [
        (label, by_name[name].value, by_name[name].baseline_value or 0.0, by_name[name].baseline)
        for name, label in _CHOSEN
        if name in by_name and by_name[name].baseline_value and by_name[name].value > 0
    ]
    values = [value for _, ours, theirs, _ in bars for value in (ours, theirs)] or [1.0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    span = max(1, high - low)
    room = _WIDTH - _LABELS - _RIGHT

    def length(value: float) -> float:
        return max(1.0, (math.log10(value) - low) / span * room)

    height = _TOP + len(bars) * (2 * _BAR + _GAP) + 40
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<title>hlwasm benchmarks</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="{_WIDTH}" height="{height}"/>',
        '<text class="title" x="16" y="26">hlwasm, and what it is compared to</text>',
        f'<text class="small" x="16" y="44">{escape(machine)}; logarithmic, shorter is faster'
        "</text>",
    ]
    for power in range(low, low + span + 1):
        x = _LABELS + (power - low) / span * room
        lines.append(f'<path class="grid" d="M{x:.1f} {_TOP - 8}V{height - 30}"/>')
        lines.append(
            f'<text class="small" text-anchor="middle" x="{x:.1f}" y="{height - 14}">'
            f"{_time(10.0**power)}</text>"
        )
    for number, (label, ours, theirs, baseline) in enumerate(bars):
        y = _TOP + number * (2 * _BAR + _GAP)
        lines.append(
            f'<text text-anchor="end" x="{_LABELS - 10}" y="{y + 15}">{escape(label)}</text>'
        )
        pair = (("ours", ours, "hlwasm"), ("theirs", theirs, baseline))
        for index, (kind, value, name) in enumerate(pair):
            top = y + index * _BAR
            end = length(value)
            lines.append(
                f'<rect class="{kind}" x="{_LABELS}" y="{top}" width="{end:.1f}"'
                f' height="{_BAR - 1}"/>'
            )
            lines.append(
                f'<text class="small" x="{_LABELS + end + 5:.1f}" y="{top + 9}">'
                f"{escape(f'{_time(value)} {name}')}</text>"
            )
    return "\n".join([*lines, "</svg>", ""])


def _time(microseconds: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3), ("µs", 1.0)):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds * 1e3:.3g} ns"
