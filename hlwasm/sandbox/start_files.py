"""States right after instantiation in the cache on disk, for the next process.

Only where instantiating called no host function at all: then nothing of this process is in
them, neither a variable of the environment nor an argument, and they are the same for
whoever runs the component.

An entry belongs to the artifact that the cache itself holds. One from elsewhere names its
own key: whoever made it could have a component of somebody else start from a state of his.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from hlwasm.artifact.fingerprint import native_fingerprint
from hlwasm.artifact.hashing import new_sha256
from hlwasm.errors import HlwasmError, SnapshotError
from hlwasm.sandbox.limits import Limits
from hlwasm.sandbox.starts import Start

if TYPE_CHECKING:
    from hlwasm.artifact import Cache
    from hlwasm.component import Component

# Raised by hand when a state depends on something new.
REVISION = 1
# Other limits are those of single calls, and show in no state.
_LAYOUT = ("memory", "memories", "table_elements", "runtime_memory", "gc_heap", "total_memory")


def find_start(cache: Cache, component: Component, limits: Limits) -> Start | None:
    """The state that is kept of a component; None where there is none that fits here.

    One that is damaged, or of another CPU, is removed.
    """
    if not cache.holds(component.artifact):
        return None
    layout = _layout_of(limits)
    key = _key(component, layout)
    fd = cache.open_snapshot(key)
    if fd is None:
        return None
    # Only here: most components have no such file.
    from hlwasm.sandbox.snapshot_file import read

    try:
        native, _ = read(fd, component, layout, verify=False)
        return Start(native)
    except (SnapshotError, OSError) as error:
        cache.reject_snapshot(key, error)
    except HlwasmError:
        # More than the limits allow, for example: instantiating says so.
        pass
    finally:
        os.close(fd)
    return None


def save_start(cache: Cache, component: Component, limits: Limits, start: Start) -> None:
    """Keeps a state, unless it can only be of use to this process.

    Raises:
        OSError: it cannot be written.
        SnapshotError: likewise.
    """
    if start.interfaces or not cache.holds(component.artifact):
        return
    from hlwasm.sandbox.snapshot_file import write

    layout = _layout_of(limits)
    key = _key(component, layout)
    cache.add_snapshot(key, lambda fd: write(fd, start.native, component, layout))


def _layout_of(limits: Limits) -> Limits:
    return Limits(**{name: getattr(limits, name) for name in _LAYOUT})


def _key(component: Component, layout: Limits) -> str:
    parts = (
        f"revision {REVISION}",
        f"native {native_fingerprint()}",
        f"artifact {component.artifact.key}",
        f"limits {layout!r}",
    )
    return new_sha256("\n".join(parts).encode()).hexdigest()
