"""The slow, plain codec: walks types and values one by one.

It defines what the generated codecs must do and is their oracle in tests. Generated code
falls back to it for whatever its fast path does not know: unusual but acceptable Python
values, and every error, because this codec knows the path to what is wrong.
"""

from __future__ import annotations

from hlwasm.codec.reference.lift import Lifting, ReferenceLift
from hlwasm.codec.reference.lower import Lowering, ReferenceLower

__all__ = ["Lifting", "Lowering", "Reference"]


class Reference(ReferenceLower, ReferenceLift):
    """Lowers and lifts values of one description's types."""
