"""GET /v1/findings: what is said of language models, what was expected, and what came."""

from functools import cache

from fastapi import APIRouter, Response

from app.api.answers import JsonAnswer
from app.api.errors import ERROR_RESPONSES, ApiError
from app.api.pieces import json_of
from app.findings.published import FindingList, published_folder, read_published
from app.redaction import without_folders
from models.errors import ArtifactError

router = APIRouter(tags=["findings"])


@router.get("/v1/findings", response_model=FindingList, responses={"default": ERROR_RESPONSES["default"]})
def findings() -> Response:
    """Claims about language models, each with what would support and what would refute it, fixed before the
    first run, and what was measured. They are those that came with this server, whatever it serves."""
    try:
        return JsonAnswer(_published())
    except ArtifactError as error:
        raise ApiError(
            f"The findings that came with this server cannot be told: {without_folders(str(error))}; install "
            "it anew",
            status=500,
            type="server_error",
            code="internal_error",
        ) from error


@cache
def _published() -> bytes:
    return json_of(read_published(published_folder()))
