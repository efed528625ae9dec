"""Errors of the `app` package. Every message names the value, what is allowed and the fix.

DemurError
├── RequestError            the request is at fault; `param` names the field             HTTP 400
│   ├── ParameterError      a value outside its allowed range
│   │   ├── ConflictError   values that do not go together
│   │   ├── MissingError    something that is needed and was not given
│   │   ├── UnknownNameError  a name that is in no catalogue (signal, sampler)
│   │   └── UnfitError      a value that its range allows and that cannot be used
│   └── ContextLengthError  more tokens than the model's context holds
├── OverloadedError         no room in the line, or waited too long; try again later     HTTP 429
├── DeadlineError           the request took longer than it may                          HTTP 504
├── EngineStoppedError      the engine is not running                                    HTTP 503
├── UnknownComparisonError  no comparison has this id                                    HTTP 404
├── ComparisonStateError    the comparison is in a state that does not allow this        HTTP 409
├── ComparisonFolderError   a folder of comparisons cannot be read or written            HTTP 507
├── ComparisonFailedError   an arm of a comparison failed on a problem                (in a job)
├── CalibrationError        calibration.json is damaged or of another checkpoint      (at start)
├── StrategyError           a strategy raised, or used its sequence in a wrong way       HTTP 500
└── ModelFailureError       the forward pass raised, or its logits are not numbers       HTTP 500
"""

from typing import ClassVar, Literal

ErrorCode = Literal[
    "invalid_value",
    "unknown_field",
    "unsupported_field",
    "missing_field",
    "invalid_type",
    "out_of_range",
    "conflicting_fields",
    "unknown_name",
    "context_length_exceeded",
    "invalid_json",
    "body_too_large",
    "unsupported_media_type",
    "invalid_api_key",
    "route_not_found",
    "method_not_allowed",
    "http_error",
    "invalid_http",
    "invalid_host",
    "host_not_allowed",
    "request_timeout",
    "too_many_connections",
    "model_not_found",
    "no_corpus",
    "no_chat_template",
    "chat_template_error",
    "comparison_not_found",
    "wrong_state",
    "overloaded",
    "rate_limit_exceeded",
    "deadline_exceeded",
    "not_ready",
    "draining",
    "storage_failed",
    "internal_error",
]
"""What a program can tell errors apart by; docs/errors.md says of each what to do."""


class DemurError(Exception):
    """Base of every error that `app` raises on purpose."""


class RequestError(DemurError, ValueError):
    """The request is at fault.

    `param` is the name of the field to blame, or None where no single field is. `code` says what kind of
    mistake it is; each subclass has its own.
    """

    default_code: ClassVar[ErrorCode] = "invalid_value"

    def __init__(self, message: str, param: str | None = None, *, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code: ErrorCode = code or self.default_code


class ParameterError(RequestError):
    """A value is outside its allowed range."""

    default_code = "out_of_range"


class ConflictError(ParameterError):
    """Values that are allowed one by one do not go together."""

    default_code = "conflicting_fields"


class MissingError(ParameterError):
    """Something is needed that was neither given nor can be taken from elsewhere."""

    default_code = "missing_field"


class UnfitError(ParameterError):
    """A value is of the right type and range, and cannot be used: it says nothing, or not here."""

    default_code = "invalid_value"


class UnknownNameError(ParameterError):
    """A name is in no catalogue."""

    default_code = "unknown_name"


class ContextLengthError(RequestError):
    """The prompt does not fit the model's context."""

    default_code = "context_length_exceeded"


class OverloadedError(DemurError):
    """The waiting queue is full, or the request has waited in it for too long.

    `retry_after` is in how many seconds those who wait now will have begun.
    """

    def __init__(self, message: str, retry_after: int = 1) -> None:
        super().__init__(f"{message} Try again in {retry_after} s.")
        self.retry_after = retry_after


class DeadlineError(DemurError):
    """The request took longer than it may."""


class EngineStoppedError(DemurError):
    """The engine is not running, so it takes no request and finishes none."""


class UnknownComparisonError(DemurError):
    """No comparison has this id."""


class ComparisonStateError(DemurError):
    """The comparison is in a state that does not allow what was asked: it runs, or it does not."""


class ComparisonFolderError(DemurError):
    """A folder of comparisons cannot be read or written: no rights, no space, damaged, or used by another."""


class ComparisonFailedError(DemurError):
    """An arm of a comparison failed on a problem, so that the comparison cannot go on."""


class CalibrationError(DemurError):
    """The stored calibration is damaged, or belongs to another checkpoint."""


class StrategyError(DemurError):
    """A strategy raised, or used its sequence in a way that has no meaning."""


class ModelFailureError(DemurError):
    """The model's forward pass raised, or returned logits that are not numbers."""
