"""How long a request may take, the loading of its model included."""

from fastapi import Request

from app.api.errors import ApiError
from app.settings import Settings

_LEAST_SECONDS = 0.001


def timeout_of(asked: float | None, settings: Settings) -> float:
    """Seconds that a request may take.

    Raises:
        ApiError: it asks for more than the server allows.
    """
    most = settings.request_timeout_seconds
    if asked is not None and asked > most:
        raise ApiError(
            f"timeout is {asked:g}; this server allows more than 0 and at most {most:g} seconds "
            "(DEMUR_REQUEST_TIMEOUT_SECONDS)",
            param="timeout",
            code="out_of_range",
        )
    return most if asked is None else asked


def spend(request: Request, seconds: float, loading: float) -> None:
    """Of the seconds that a request may take, so many went into loading its model; none if it was there."""
    request.state.seconds_left = max(_LEAST_SECONDS, seconds - loading)


def seconds_left(request: Request) -> float:
    """What is left of them: more than 0, so that the engine is the one to end what is late."""
    return request.state.seconds_left
