"""`hlwasm doctor`: can this machine run micro-VMs, and how fast."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from hlwasm.cli.exit_codes import FAILURE, NO_HYPERVISOR, OK
from hlwasm.cli.options import json_option
from hlwasm.text import printable

_EPILOG = """
\b
Examples:
  hlwasm doctor
  hlwasm doctor --json

Ends with 0 if a micro-VM ran, 122 if there is no usable hypervisor, 1 if something else
is wrong.
"""


@click.command(epilog=_EPILOG)
@json_option
def command(as_json: bool) -> int:
    """Check that this machine can run micro-VMs, and run one."""
    from hlwasm.cli.checks import examine

    checks, timings = examine()
    failed = [check for check in checks if not check.ok]
    if as_json:
        report = {
            "ok": not failed,
            "checks": [asdict(check) for check in checks],
            "timings_seconds": timings,
        }
        json.dump(report, sys.stdout, indent=2)
        click.echo()
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            mark = click.style("ok  ", fg="green") if check.ok else click.style("FAIL", fg="red")
            click.echo(f"{mark} {check.name.ljust(width)}  {printable(check.detail)}")
            for hint in check.hints:
                click.echo(f"     {' ' * width}  → {printable(hint)}")
        if timings:
            click.echo()
            for name, seconds in timings.items():
                click.echo(f"     {name.ljust(width)}  {_time_text(seconds)}")
    names = {check.name for check in failed}
    # Without the native half the hypervisor could not be asked.
    if "hypervisor" in names and "hlwasm" not in names:
        return NO_HYPERVISOR
    return FAILURE if failed else OK


def _time_text(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"
