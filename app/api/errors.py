"""From exceptions to the error envelope: `{"error": {"message", "type", "param", "code"}}`."""

import logging
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.api.schemas.catalogue import ErrorEnvelope, ErrorOut
from app.errors import (
    ComparisonFolderError,
    ComparisonStateError,
    DeadlineError,
    DemurError,
    EngineStoppedError,
    ErrorCode,
    OverloadedError,
    RequestError,
    UnknownComparisonError,
    UnknownNameError,
)
from app.invalid import quoted
from app.redaction import without_folders

log = logging.getLogger(__name__)

INVALID_REQUEST = "invalid_request_error"


class ApiError(DemurError):
    """An error with its HTTP status and its envelope."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        type: str = INVALID_REQUEST,
        param: str | None = None,
        code: ErrorCode | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})
        # A client may have sent half a surrogate pair, which no UTF-8 answer can repeat.
        where = None if param is None else _encodable(param)
        self.envelope = ErrorEnvelope(
            error=ErrorOut(message=_encodable(message), type=type, param=where, code=code)
        )

    def response(self) -> Response:
        """The answer to send."""
        return Response(
            self.envelope.model_dump_json(),
            status_code=self.status,
            headers=self.headers,
            media_type="application/json",
        )


def not_ready(reason: str, retry_after: int = 1, param: str | None = None) -> ApiError:
    """The model is not there to answer, yet or any more. retry_after: in seconds. param: `model` where that
    is at fault, and waiting alone does not help."""
    headers = {"retry-after": str(retry_after)}
    return ApiError(reason, status=503, type="server_error", param=param, code="not_ready", headers=headers)


def draining(seconds: float) -> ApiError:
    """The server is stopping, and has `seconds` for what it has begun."""
    return ApiError(
        "The server is stopping: it ends what it has begun and takes nothing new. Try again in a moment",
        status=503,
        type="server_error",
        code="draining",
        headers={"retry-after": str(max(1, ceil(seconds))), "connection": "close"},
    )


def model_not_found(name: str, served: Sequence[str], param: str = "model") -> RequestError:
    """A model by a name that is not served; `served` are those that are, the first without a name."""
    there = ", ".join(map(repr, served))
    return UnknownNameError(
        f"{param} is {quoted(name)}, which is not served here; use {there}, or leave it out"
        f"{f' for {served[0]!r}' if len(served) > 1 else ''}",
        param=param,
        code="model_not_found",
    )


def internal(request_id: str) -> ApiError:
    """A fault of ours, without its details: those are in the log."""
    return ApiError(
        f"The server failed on this request; its log says why, under request id {request_id}",
        status=500,
        type="server_error",
        code="internal_error",
    )


def to_api_error(error: Exception, request_id: str) -> ApiError:
    """The answer to any exception that a request ran into."""
    match error:
        case ApiError():
            return error
        case RequestError():
            status = 404 if error.code == "model_not_found" else 400
            return ApiError(error.message, status=status, param=error.param, code=error.code)
        case OverloadedError():
            return ApiError(
                str(error),
                status=429,
                type="rate_limit_error",
                code="overloaded",
                headers={"retry-after": str(error.retry_after)},
            )
        case DeadlineError():
            return ApiError(str(error), status=504, type="timeout_error", code="deadline_exceeded")
        case EngineStoppedError():
            return not_ready(str(error))
        case UnknownComparisonError():
            return ApiError(_sentence(error), status=404, code="comparison_not_found")
        case ComparisonStateError():
            return ApiError(_sentence(error), status=409, code="wrong_state")
        case ComparisonFolderError():
            message = without_folders(_sentence(error))
            return ApiError(message, status=507, type="server_error", code="storage_failed")
        case HTTPException():
            return _of_routing(error)
        case _:
            return internal(request_id)


def is_ours(error: Exception) -> bool:
    """Whether the log should say why, because the answer does not."""
    answered = (ApiError, DeadlineError, EngineStoppedError, ComparisonFolderError)
    return to_api_error(error, "").status >= 500 and not isinstance(error, answered)


def log_what_is_not_told(error: Exception, request_id: str) -> None:
    """Log what the answer leaves out: why a fault of ours came about, and where a folder is."""
    if is_ours(error):
        log.error("request %s failed", request_id, exc_info=error)
    elif isinstance(error, ComparisonFolderError):
        log.error("request %s failed: %s", request_id, error)


def _of_routing(error: HTTPException) -> ApiError:
    headers: dict[str, str] = dict(error.headers or {})
    known: dict[int, tuple[str, ErrorCode]] = {
        404: ("There is no such route; GET /docs lists those there are", "route_not_found"),
        405: (f"This route takes {headers.get('Allow', 'another method')}", "method_not_allowed"),
    }
    message, code = known.get(error.status_code, (str(error.detail), "http_error"))
    kind = INVALID_REQUEST if error.status_code < 500 else "server_error"
    return ApiError(message, status=error.status_code, type=kind, code=code, headers=headers)


def _sentence(error: Exception) -> str:
    """The error's message, which may begin in the middle of a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


# With a default, FastAPI does not add the 422 that it would send itself.
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorEnvelope, "description": "The request is at fault; `param` names the field."},
    404: {"model": ErrorEnvelope, "description": "There is no such model."},
    429: {
        "model": ErrorEnvelope,
        "description": "Too many requests are waiting, or this one has waited for too long; "
        "`Retry-After` says when to try again.",
    },
    503: {"model": ErrorEnvelope, "description": "The model is being loaded, or the server is stopping."},
    504: {"model": ErrorEnvelope, "description": "The request was not done within its `timeout`."},
    "default": {"model": ErrorEnvelope, "description": "Any other error."},
}
