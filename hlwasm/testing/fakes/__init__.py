"""Fakes of a component's imports, made from their WIT."""

from hlwasm.testing.fakes.calls import Call
from hlwasm.testing.fakes.expectation import Expectation
from hlwasm.testing.fakes.fakes import Fakes
from hlwasm.testing.fakes.function import FakeFunction
from hlwasm.testing.fakes.interface import FakeInterface
from hlwasm.testing.fakes.resource import FakeResource

__all__ = ["Call", "Expectation", "FakeFunction", "FakeInterface", "FakeResource", "Fakes"]
