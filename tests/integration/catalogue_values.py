"""Values of the kitchen sink's types, as Python callers write them."""

from __future__ import annotations

import math
import random
import struct
from typing import Any

from components.kitchen_sink import wit_types as wit
from hlwasm import Err, Ok, Some
from hlwasm.wit.names import snake_case, upper_camel_case, upper_snake_case


def single(value: float) -> float:
    """The nearest 32-bit float."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


class Values:
    """Makes values of WIT types.

    Args:
        types: where the generated Python classes are attributes.
        source: of randomness.
        exact: integers have no magnitude beyond it, if given.
    """

    def __init__(self, types: Any, source: random.Random, exact: int | None = None) -> None:
        self.types = types
        self.source = source
        self.exact = exact

    def value(self, type_: wit.Type) -> Any:
        """A random value, often at an edge of its type."""
        maker = getattr(self, f"_{type(type_).__name__.lower()}")
        return maker(type_)

    def _class(self, type_: Any) -> Any:
        return getattr(self.types, upper_camel_case(type_.name))

    def _scalar(self, type_: wit.Scalar) -> Any:
        choose = self.source.choice
        if type_.name == "bool":
            return choose([False, True])
        if type_.name == "char":
            return choose(["\0", "a", "ä", "\ud7ff", "\ue000", "€", "😀", "\U0010ffff"])
        if type_.name[0] == "f":
            exact = single if type_.name == "f32" else float
            number = self.source.uniform(-1e30, 1e30)
            return choose([0.0, -0.0, 1.5, math.inf, -math.inf, exact(number), exact(5e-324)])
        bits = type_.bytes * 8
        span = 2**bits
        low = 0 if type_.name[0] == "u" else -span // 2
        high = low + span - 1
        if self.exact is not None:
            low, high = max(low, -self.exact), min(high, self.exact)
        return choose([low, high, 0, self.source.randint(low, high)])

    def _string(self, type_: wit.String) -> str:
        length = self.source.choice([0, 1, 7, 100])
        return "".join(self.source.choices("aé€😀\0\n", k=length))

    def _list(self, type_: wit.List) -> Any:
        items = [self.value(type_.element) for _ in range(self.source.choice([0, 1, 2, 3]))]
        return bytes(items) if type_.element.wit() == "u8" else items

    def _tuple(self, type_: wit.Tuple) -> tuple[Any, ...]:
        return tuple(self.value(item) for item in type_.items)

    def _record(self, type_: wit.Record) -> Any:
        fields = {snake_case(name): self.value(t) for name, t in type_.fields}
        return self._class(type_)(**fields)

    def _variant(self, type_: wit.Variant) -> Any:
        name, payload = self.source.choice(type_.cases)
        case = getattr(self._class(type_), upper_camel_case(name))
        return case() if payload is None else case(self.value(payload))

    def _enum(self, type_: wit.Enum) -> Any:
        return self._class(type_)(self.source.choice([*type_.cases[:2], *type_.cases[-2:]]))

    def _flags(self, type_: wit.Flags) -> Any:
        cls = self._class(type_)
        bits = self.source.choice([0, 1, 2 ** len(type_.flags) - 1, self.source.getrandbits(32)])
        value = cls(0)
        for number, name in enumerate(type_.flags):
            if bits >> number & 1:
                value |= cls[upper_snake_case(name)]
        return value

    def _option(self, type_: wit.Option) -> Any:
        if self.source.random() < 0.3:
            return None
        inner = self.value(type_.value)
        return Some(inner) if isinstance(type_.value, wit.Option) else inner

    def _result(self, type_: wit.Result) -> Any:
        if self.source.random() < 0.5:
            return Ok(None if type_.ok is None else self.value(type_.ok))
        return Err(None if type_.error is None else self.value(type_.error))

    def _alias(self, type_: wit.Alias) -> Any:
        return self.value(type_.target)
