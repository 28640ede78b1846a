"""The package ``wasi:clocks``."""

from __future__ import annotations

from hlwasm.frozen import Frozen
from hlwasm.wasi.interface import Interface
from hlwasm.wasi.polling import Timer

_SECOND = 1_000_000_000  # in nanoseconds


class Datetime(Frozen):
    """``wasi:clocks/wall-clock.datetime``: time since 1970-01-01T00:00Z."""

    seconds: int
    nanoseconds: int


class TimezoneDisplay(Frozen):
    """``wasi:clocks/timezone.timezone-display``; ``utc_offset`` is in seconds."""

    utc_offset: int
    name: str
    in_daylight_saving_time: bool


class MonotonicClock(Interface):
    """``wasi:clocks/monotonic-clock``; instants and durations are in nanoseconds."""

    __slots__ = ()

    def now(self) -> int:
        """The clock's instant."""
        return self._host.config.monotonic_clock()

    def resolution(self) -> int:
        """One tick."""
        return 1

    def subscribe_instant(self, when: int) -> Timer:
        """Ready from the instant on."""
        return Timer(self._host.waiter, when)

    def subscribe_duration(self, when: int) -> Timer:
        """Ready once the duration has passed."""
        return Timer(self._host.waiter, self.now() + when, relative=True)


class WallClock(Interface):
    """``wasi:clocks/wall-clock``."""

    __slots__ = ()

    def now(self) -> Datetime:
        """The date and time."""
        return Datetime(*divmod(self._host.config.wall_clock(), _SECOND))

    def resolution(self) -> Datetime:
        """One tick."""
        return Datetime(0, 1)


class Timezone(Interface):
    """``wasi:clocks/timezone``: always UTC, as WASI has it where no time zone is exposed."""

    __slots__ = ()

    def display(self, when: Datetime) -> TimezoneDisplay:
        """How to show a time to people."""
        return TimezoneDisplay(0, "UTC", False)

    def utc_offset(self, when: Datetime) -> int:
        """Seconds to add to UTC."""
        return 0
