"""GET /v1/findings: what is said of language models, what was expected, and what came."""

from functools import cache

from fastapi import APIRouter, Response

from app.api.answers import JsonAnswer
from app.api.errors import ERROR_RESPONSES
from app.api.pieces import json_of
from app.findings.published import FindingList, published_folder, read_published

router = APIRouter(tags=["findings"])


@router.get("/v1/findings", response_model=FindingList, responses={"default": ERROR_RESPONSES["default"]})
def findings() -> Response:
    """Claims about language models, each with what would support and what would refute it, fixed before the
    first run, and what was measured. They are those that came with this server, whatever it serves."""
    return JsonAnswer(_published())


@cache
def _published() -> bytes:
    return json_of(read_published(published_folder()))
