"""What is tested: a component, or the description of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hlwasm.wit.model import Description

if TYPE_CHECKING:
    from hlwasm.component import Component


def description_of(source: Component | Description) -> Description:
    """The description of a component, or the one that was given.

    Raises:
        TypeError: it is neither; a path is to be loaded first.
    """
    if isinstance(source, Description):
        return source
    try:
        return source.description
    except AttributeError:
        if hasattr(type(source), "description"):
            raise  # a component's own
        got = type(source).__name__
        raise TypeError(f"expected a hlwasm.Component, as hlwasm.load makes, not {got}") from None
