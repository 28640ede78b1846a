"""What the component does with the host's resources."""

from __future__ import annotations

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports import store
from wit_world.imports.store import (
    Blob,
    Held,
    Held_Many,
    Held_One,
    Seen,
    Seen_One,
)


class Client(exports.Client):
    kept: Blob | None = None

    def make(self, name: str, data: bytes) -> Blob:
        blob = Blob(name)
        blob.append(data)
        return blob

    def describe(self, blob: Blob) -> tuple[str, int]:
        return blob.name(), blob.size()

    def discard(self, blob: Blob) -> None:
        blob.__exit__(None, None, None)

    def open(self, name: str) -> Blob:
        return Blob.open(name)

    def halves(self, blob: Blob) -> list[Blob]:
        return [blob, blob.split(blob.size() // 2)]

    def swap(self, held: Held) -> Held:
        if isinstance(held, Held_One):
            blob = store.swap_option(held.value)
            blob = store.swap_result(Ok(blob))
            blob, _ = store.swap_tuple((blob, 7))
            held = Held_One(blob)
        elif isinstance(held, Held_Many):
            held = Held_One(Blob.join(held.value))
        return store.swap(held)

    def turn(self, held: Held) -> Held:
        return held

    def total(self, seen: Seen) -> int:
        answer = store.total(seen)
        if isinstance(seen, Seen_One):
            answer += store.total_option(seen.value, (seen.value, 1))
        return answer

    def equal(self, first: Blob, second: Blob) -> bool:
        return first.same(second)

    def keep(self, blob: Blob) -> None:
        Client.kept = blob

    def release(self) -> Blob | None:
        released, Client.kept = Client.kept, None
        return released
