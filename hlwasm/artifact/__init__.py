"""From input bytes to a cached artifact: what the guest maps and runs."""

from __future__ import annotations

from hlwasm.artifact.artifact import Artifact
from hlwasm.artifact.cache import Cache
from hlwasm.artifact.options import CompileLimits, CompileOptions, Phase, Progress
from hlwasm.artifact.prepare import Outline, describe, prepare

__all__ = [
    "Artifact",
    "Cache",
    "CompileLimits",
    "CompileOptions",
    "Outline",
    "Phase",
    "Progress",
    "describe",
    "prepare",
]
