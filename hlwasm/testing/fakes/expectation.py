"""Expected host calls: which arguments, how often, in which order."""

from __future__ import annotations

from typing import Any

from hlwasm.testing.fakes.behaviour import Behaviour
from hlwasm.testing.signature import Signature

_WORDS = {0: "never", 1: "once", 2: "twice"}


class Expectation(Behaviour):
    """A host call that is expected, with some arguments: once, unless it says otherwise.

    Made by :meth:`FakeFunction.expect`. What the call is answered is said as for the function:
    ``fakes.supplier.price.expect("hammer", ANY).returns(250)``.

    Args:
        signature: of the function.
        arguments: that calls must have, None for any; checked against the WIT.
        sequence: the expectations that come in a fixed order, None where any order is right.
    """

    def __init__(
        self,
        signature: Signature,
        arguments: tuple[Any, ...] | None,
        sequence: list[Expectation] | None,
    ) -> None:
        super().__init__(signature)
        # Bytes of the arguments, or ANY.
        self._data = None if arguments is None else signature.canonical(arguments)[1]
        self._least = 1
        self._most: int | None = 1
        self._count = 0
        self._sequence = sequence
        if sequence is not None:
            sequence.append(self)

    def once(self) -> Expectation:
        """Exactly one call, which is what an expectation means anyway."""
        return self.times(1)

    def times(self, count: int) -> Expectation:
        """Exactly so many calls."""
        return self._set(count, count)

    def at_least(self, count: int) -> Expectation:
        """So many calls or more."""
        return self._set(count, None)

    def at_most(self, count: int) -> Expectation:
        """So many calls or fewer, none included."""
        return self._set(0, count)

    def never(self) -> Expectation:
        """No call: one is an UnexpectedCall."""
        return self.times(0)

    def _set(self, least: int, most: int | None) -> Expectation:
        for count in (least, most):
            if count is not None and (type(count) is not int or count < 0):
                raise ValueError(f"{self}: {count!r} is not a number of calls")
        self._least, self._most = least, most
        return self

    # What the fake asks.

    def matches(self, data: tuple[bytes, ...]) -> bool:
        """Whether a call with these arguments, as bytes, is meant."""
        return self._data is None or self._data == data

    def is_open(self) -> bool:
        """Whether one more call is right."""
        return self._most is None or self._count < self._most

    def is_met(self) -> bool:
        """Whether there were as many calls as there must be."""
        return self._count >= self._least

    def missing_before(self) -> Expectation | None:
        """The first expectation that must be met before this one, and is not."""
        for each in self._sequence or ():
            if each is self:
                break
            if not each.is_met():
                return each
        return None

    def take(self) -> None:
        """A call was made that is meant; those before it in the order are over."""
        self._count += 1
        for each in self._sequence or ():
            if each is self:
                break
            each._most = each._count

    def state(self) -> str:
        """``log("hello"): expected once, called twice``."""
        return f"{self}: expected {self._expected()}, {_called(self._count)}"

    def _expected(self) -> str:
        least, most = self._least, self._most
        if least == most:
            return _often(least)
        if most is None:
            return f"at least {_often(least)}"
        return f"at most {_often(most)}"

    def __str__(self) -> str:
        signature = self._signature
        return f"{signature.label}(…)" if self._data is None else signature.text(self._data)

    def __repr__(self) -> str:
        return f"<expectation {self.state()}>"


def _often(count: int) -> str:
    return _WORDS.get(count, f"{count} times")


def _called(count: int) -> str:
    return "never called" if count == 0 else f"called {_often(count)}"
