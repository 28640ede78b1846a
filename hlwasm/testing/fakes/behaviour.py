"""What a fake answers: checked against the WIT when it is said, where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from hlwasm.errors import Err
from hlwasm.testing.signature import Signature

Self = TypeVar("Self", bound="Behaviour")


class Behaviour:
    """Answers calls of one function; by default with the zero value of its type.

    That is 0, an empty text or list, none, the ok arm, the first case, a new fake resource.
    """

    def __init__(self, signature: Signature) -> None:
        self._signature = signature
        self._action: Callable[..., Any] | None = None

    def returns(self: Self, value: Any) -> Self:
        """Answers each call with a value; of a ``result``, its ok payload, ``Ok`` or ``Err``.

        Raises:
            WitTypeError, WitValueError: it does not fit the WIT, and where.
        """
        self._signature.encode_result(value)
        return self.does(lambda *_: value)

    def returns_each(self: Self, values: Iterable[Any]) -> Self:
        """Answers calls with one value after the other; one call more is an AssertionError.

        Raises:
            WitTypeError, WitValueError: as :meth:`returns`.
        """
        answers = list(values)
        for value in answers:
            self._signature.encode_result(value)
        left = iter(answers)

        def answer(*_: Any) -> Any:
            for value in left:
                return value
            raise AssertionError(
                f"{self._signature.label}: called more often than there are values for "
                f"({len(answers)}), as given to returns_each"
            )

        return self.does(answer)

    def fails(self: Self, error: Any = None) -> Self:
        """Answers each call with the error arm of its result, with this payload.

        Raises:
            WitTypeError, WitValueError: it does not fit, or the function returns no ``result``.
        """
        return self.returns(Err(error))

    def raises(self: Self, error: BaseException | type[BaseException]) -> Self:
        """Ends the guest call with an exception of the host's at each call."""

        def fail(*_: Any) -> Any:
            raise error

        return self.does(fail)

    def does(self: Self, function: Callable[..., Any]) -> Self:
        """Has a function answer; what it returns is checked when it does. In an asynchronous
        sandbox it may be a coroutine function.
        """
        self._action = function
        return self

    def _answer(self, arguments: tuple[Any, ...]) -> Any:
        """The answer to a call."""
        if self._action is None:
            result = self._signature.function.result
            return None if result is None else self._signature.values.zero(result)
        value = self._action(*arguments)
        # What is awaited is checked then.
        if not hasattr(value, "__await__"):
            self._signature.encode_result(value)
        return value
