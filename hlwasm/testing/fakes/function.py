"""A fake of one imported function."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hlwasm.errors import CheckFailed, ConversionError, MissingCall, UnexpectedCall
from hlwasm.testing.fakes.behaviour import Behaviour
from hlwasm.testing.fakes.calls import Call
from hlwasm.testing.fakes.expectation import Expectation
from hlwasm.testing.signature import Signature

# How many calls and expectations a message shows.
_MOST_SHOWN = 10


class Journal:
    """What all fakes of one component share.

    Attributes:
        strict: calls that nobody expected or prepared an answer for are failures.
        calls: all that were made, oldest first.
        failures: unexpected calls and wrong answers; kept, because a test may swallow what a
            fake raises.
        sequence: expectations that are stated now belong to this order, None where to none.
    """

    def __init__(self, strict: bool) -> None:
        self.strict = strict
        self.calls: list[Call] = []
        self.failures: list[Exception] = []
        self.sequence: list[Expectation] | None = None

    def recent(self) -> str:
        """The last calls as lines of a message."""
        shown = [f"\n  {call}" for call in self.calls[-_MOST_SHOWN:]]
        left_out = len(self.calls) - len(shown)
        more = f"\n  … and {left_out} before them" if left_out else ""
        return "".join(shown) + more if shown else " none"


class FakeFunction(Behaviour):
    """A fake of an imported function: answers, keeps the calls, checks what is expected.

    ``returns``, ``returns_each``, ``fails``, ``raises`` and ``does`` say what it answers, by
    default the zero value of its type. :meth:`expect` says which calls there must be; from then
    on all others are failures.
    """

    def __init__(self, signature: Signature, journal: Journal) -> None:
        super().__init__(signature)
        self._journal = journal
        self._expectations: list[Expectation] = []

    @property
    def calls(self) -> list[Call]:
        """The calls of this function, oldest first."""
        return [call for call in self._journal.calls if call._signature is self._signature]

    def call(self, *arguments: Any, **named: Any) -> Call:
        """A call with these arguments to compare with those that were made; makes none.

        Raises:
            WitTypeError, WitValueError: they do not fit the WIT.
        """
        bound = self._signature.bind(arguments, named)
        return Call(self._signature, *self._signature.canonical(bound))

    def expect(self, *arguments: Any, **named: Any) -> Expectation:
        """A call with these arguments must be made, once unless more is said.

        Arguments may be ``ANY``. None at all, for a function that takes some, stands for
        whatever arguments.

        Raises:
            WitTypeError, WitValueError: they do not fit the WIT.
        """
        signature = self._signature
        wanted = None
        if arguments or named or not signature.plain.names:
            wanted = signature.bind(arguments, named)
        expectation = Expectation(signature, wanted, self._journal.sequence)
        self._expectations.append(expectation)
        return expectation

    def assert_called_with(self, *arguments: Any, **named: Any) -> None:
        """Raises MissingCall unless there was a call with these arguments."""
        wanted = self.call(*arguments, **named)
        if wanted not in self.calls:
            raise MissingCall(f"no call {wanted}; calls that were made:{self._journal.recent()}")

    def assert_not_called(self) -> None:
        """Raises UnexpectedCall if there was a call."""
        if self.calls:
            raise UnexpectedCall(f"unexpected call: {self.calls[0]}")

    def __call__(self, *arguments: Any) -> Any:
        """A host call."""
        # At once, because it numbers resources in the order in which they are seen.
        data = self._signature.encode(arguments)
        self._journal.calls.append(call := Call(self._signature, arguments, data))
        with self._failures_kept():
            answer = self._chosen(call, data)._answer(arguments)
        return self._awaited(answer) if hasattr(answer, "__await__") else answer

    async def _awaited(self, answer: Any) -> Any:
        """The answer of a coroutine function, for an asynchronous sandbox."""
        with self._failures_kept():
            value = await answer
            self._signature.encode_result(value)
        return value

    @contextmanager
    def _failures_kept(self) -> Iterator[None]:
        try:
            yield
        except (CheckFailed, ConversionError, AssertionError) as error:
            self._journal.failures.append(error)
            raise

    def _chosen(self, call: Call, data: tuple[bytes, ...]) -> Behaviour:
        """What answers a call."""
        if not self._expectations:
            if self._journal.strict and self._action is None:
                raise _unexpected(call, "nothing is expected of this function")
            return self
        matching = [each for each in self._expectations if each.matches(data)]
        for each in matching:
            if each.is_open() and each.missing_before() is None:
                each.take()
                # What the function answers anyway, where the expectation says nothing of it.
                return self if each._action is None else each
        for each in matching:
            before = each.missing_before()
            if each.is_open() and before is not None:
                raise _unexpected(call, f"before it there must be {before.state()}")
        states = [f"\n  {each.state()}" for each in self._expectations[:_MOST_SHOWN]]
        raise _unexpected(call, "expected of this function:" + "".join(states))

    def unmet(self) -> list[str]:
        """Expectations that were not met, in words."""
        return [each.state() for each in self._expectations if not each.is_met()]

    def __repr__(self) -> str:
        return f"<fake {self._signature.label}>"


def _unexpected(call: Call, why: str) -> UnexpectedCall:
    return UnexpectedCall(f"unexpected call: {call}\n{why}")
