"""Who serves an imported interface when the command line runs a component."""

from __future__ import annotations

# Values of `provider_of`; also in the JSON of `inspect`.
WASI = "wasi"
UNSUPPORTED = "unsupported"
USER = "user"


def provider_of(interface: str | None) -> str:
    """:data:`WASI`, :data:`UNSUPPORTED` where it links but fails when called, or :data:`USER`.

    Args:
        interface: WIT name, None for functions of the world itself.
    """
    if interface is None:
        return USER
    from hlwasm.wasi import WasiHost
    from hlwasm.wasi.interface import Interface

    found = WasiHost().interface(interface)
    if found is None:
        return USER
    return UNSUPPORTED if type(found) is Interface else WASI
