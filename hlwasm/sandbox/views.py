"""Results as views of the sandbox's memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import MethodType, TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from hlwasm.codec.functions import BoundExport
from hlwasm.errors import ViewInUse

if TYPE_CHECKING:
    from hlwasm.sandbox.loans import Loan

P = ParamSpec("P")
T_co = TypeVar("T_co", covariant=True)


class View(AbstractContextManager[T_co], AbstractAsyncContextManager[T_co]):
    """A call that is made when its ``with`` statement is entered; made by :func:`view`."""

    def __init__(
        self, export: BoundExport, arguments: tuple[Any, ...], named: dict[str, Any]
    ) -> None:
        self._export = export
        self._arguments = arguments
        self._named = named
        self._loan: Loan | None = None

    def __enter__(self) -> T_co:
        if self._export.asynchronous:
            raise TypeError("a view of an AsyncSandbox's result needs `async with`")
        self._loan, value = self._export.lend(*self._arguments, **self._named)
        return value  # type: ignore[no-any-return]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loan, self._loan = self._loan, None
        if loan is None:
            return  # entered twice: the second call has ended the first one's views
        try:
            loan.end()
        except ViewInUse:
            # An exception says more, and its traceback may be what uses the view.
            if error is None:
                raise

    async def __aenter__(self) -> T_co:
        if not self._export.asynchronous:
            raise TypeError("a view of a Sandbox's result needs `with`, not `async with`")
        self._loan, value = await self._export.lend(*self._arguments, **self._named)
        return value  # type: ignore[no-any-return]

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)


@overload
def view(
    function: Callable[P, bytes | str], /, *arguments: P.args, **named: P.kwargs
) -> View[memoryview]: ...
@overload
def view(
    function: Callable[P, list[int]], /, *arguments: P.args, **named: P.kwargs
) -> View[memoryview]: ...
@overload
def view(
    function: Callable[P, list[float]], /, *arguments: P.args, **named: P.kwargs
) -> View[memoryview[float]]: ...
@overload
def view(function: Callable[P, Any], /, *arguments: P.args, **named: P.kwargs) -> View[Any]: ...
def view(function: Callable[..., Any], /, *arguments: Any, **named: Any) -> View[Any]:
    """Calls an exported function, and gives its result without copying it.

    ``bytes``, strings (as UTF-8 that nobody has checked) and lists of numbers in the result,
    wherever they stand in it, are read-only memoryviews of the sandbox's memory; all else is as
    usual, and so is what an exception carries. The call is made when the ``with`` statement is
    entered; an AsyncSandbox needs ``async with``.

    Views end with the statement, or before, when the sandbox is used again: called, restored,
    captured or closed. Then they raise ValueError. What was made of them, such as NumPy arrays
    and slices, has to be gone by then, or the statement and all uses of the sandbox but closing
    raise :class:`hlwasm.ViewInUse`. A sandbox that is closed keeps its memory until it is gone.

    Args:
        function: an exported function or method of a sandbox. Pools have none: borrow a sandbox
            by ``pool.sandbox()``.
        arguments: of the function, and so are ``named``.

    Raises:
        TypeError: ``function`` is none of these.
        Exception: when the statement is entered, as for the function itself.

    Example:
        >>> import hlwasm
        >>> text = '''(component
        ...   (core module $m
        ...     (memory (export "memory") 1)
        ...     (data (i32.const 8) "\\\\10\\\\00\\\\00\\\\00\\\\05\\\\00\\\\00\\\\00hello")
        ...     (func (export "get") (result i32) (i32.const 8)))
        ...   (core instance $i (instantiate $m))
        ...   (func (export "get") (result (list u8))
        ...     (canon lift (core func $i "get") (memory $i "memory"))))'''
        >>> with hlwasm.load(text.encode()).instantiate() as sandbox:
        ...     with hlwasm.view(sandbox.exports.get) as data:
        ...         print(len(data), bytes(data[:2]))
        5 b'he'
    """
    if isinstance(function, MethodType):
        arguments = function.__self__, *arguments
    export = getattr(function, "__hlwasm_export__", None)
    if not isinstance(export, BoundExport):
        raise TypeError(
            f"view() takes an exported function of a sandbox, not {function!r}; a pool's calls "
            "are made in sandboxes that are restored at once: borrow one by pool.sandbox()"
        )
    return View(export, arguments, named)
