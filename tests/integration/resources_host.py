"""The host's side of the sample ``resources``: blobs that know how often they were closed."""

from __future__ import annotations

from typing import Any

import hlwasm


class Blob:
    """The host's resource."""

    def __init__(self, name: str, data: bytes = b"") -> None:
        self.text = name
        self.data = data
        self.closed = 0

    def name(self) -> str:
        return self.text

    def size(self) -> int:
        return len(self.data)

    def append(self, data: bytes) -> int:
        self.data += data
        return len(self.data)

    def split(self, at: int) -> Blob:
        if at == 0:
            raise hlwasm.Err(f"{self.text} is too small")
        tail = Blob(f"{self.text}+", self.data[at:])
        self.data = self.data[:at]
        return tail

    def same(self, other: Blob) -> bool:
        return self.data == other.data

    def absorb(self, other: Blob) -> int:
        self.data += other.data
        other.close()
        return len(self.data)

    @staticmethod
    def open(name: str) -> Blob:
        if not name:
            raise hlwasm.Err("no name")
        return Blob(name, b"opened")

    @classmethod
    def join(cls, blobs: list[Blob]) -> Blob:
        joined = cls("joined")
        for blob in blobs:
            joined.absorb(blob)
        return joined

    def close(self) -> None:
        self.closed += 1


def blobs_in(value: Any) -> list[Any]:
    """The blobs in a value of ``held`` or ``seen``."""
    payload = getattr(value, "value", None)
    if payload is None:
        return []
    if isinstance(payload, list):
        return payload
    return [payload if isinstance(payload, Blob) else payload.blob]


class Store:
    """The host's interface; swapping hands back what came.

    Attributes:
        seen: the functions that were called, and the blobs that they were called with.
    """

    Blob: type[Any] = Blob

    def __init__(self) -> None:
        self.seen: list[tuple[str, list[Any]]] = []

    def swap(self, held: Any) -> Any:
        self.seen.append(("swap", blobs_in(held)))
        return held

    def swap_option(self, blob: Any) -> Any:
        self.seen.append(("swap-option", [blob] if blob else []))
        return blob

    def swap_result(self, blob: Any) -> Any:
        self.seen.append(("swap-result", [blob.value]))
        return blob

    def swap_tuple(self, pair: tuple[Any, int]) -> tuple[Any, int]:
        self.seen.append(("swap-tuple", [pair[0]]))
        return pair

    def total(self, seen: Any) -> int:
        return sum(blob.size() for blob in blobs_in(seen))

    def total_option(self, blob: Any, pair: tuple[Any, int]) -> int:
        total: int = (blob.size() if blob else 0) + pair[0].size() * pair[1]
        return total
