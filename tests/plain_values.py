"""Values for comparison, whatever their lists of numbers are."""

from __future__ import annotations

import dataclasses
from array import array
from typing import Any

import numpy as np

from hlwasm.wit.values import Err, Ok, Some


def plainly(value: Any) -> Any:
    """The value with lists in the place of arrays, views, bytes and strings."""
    if isinstance(value, (array, np.ndarray, memoryview)):
        return value.tolist()
    if isinstance(value, str):
        return list(value.encode())
    if isinstance(value, (list, bytes)):
        return [plainly(each) for each in value]
    if isinstance(value, tuple):
        return tuple([plainly(each) for each in value])
    if isinstance(value, (Ok, Err, Some)):
        return type(value), plainly(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return type(value), [plainly(getattr(value, field.name)) for field in fields]
    return value
