"""Recordings of runs, and replays that are compared with them."""

from hlwasm.testing.recording.player import Replayed, replay
from hlwasm.testing.recording.recorder import record

__all__ = ["Replayed", "record", "replay"]
