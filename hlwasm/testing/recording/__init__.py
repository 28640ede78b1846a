"""Recordings of runs, and replays that are compared with them."""

from hlwasm.testing.recording.player import Replayed
from hlwasm.testing.recording.recorder import record
from hlwasm.testing.recording.replays import replay, replaying

__all__ = ["Replayed", "record", "replay", "replaying"]
