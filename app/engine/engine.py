"""The engine: event loop of decoding."""

from app.engine.types import (
    ChoiceDone,
    EngineLimits,
    EngineStats,
    Failed,
    GenerationRequest,
    PromptScored,
    RequestDone,
    StreamItem,
    TokenOut,
    Usage,
)

__all__ = [
    "ChoiceDone",
    "EngineLimits",
    "EngineStats",
    "Failed",
    "GenerationRequest",
    "PromptScored",
    "RequestDone",
    "StreamItem",
    "TokenOut",
    "Usage",
]
