"""GET /v1/models, /v1/strategies and /v1/signals: what is served and what can be asked of it."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends

from app.api.errors import ERROR_RESPONSES
from app.api.schemas.catalogue import (
    ModelList,
    ModelOut,
    SignalList,
    SignalOut,
    StrategyList,
    StrategyOut,
)
from app.api.service import Serving, serving_of
from app.decoding.signals import SIGNALS
from app.decoding.strategies import STRATEGIES

router = APIRouter(tags=["catalogue"])

_ERRORS = {status: ERROR_RESPONSES[status] for status in (404, 503, "default")}


@router.get("/v1/models", responses=_ERRORS)
async def models(serving: Annotated[Serving, Depends(serving_of)]) -> ModelList:
    """The served models: one."""
    return ModelList(data=[_model(serving)])


@router.get("/v1/models/{name}", responses=_ERRORS)
async def model(name: str, serving: Annotated[Serving, Depends(serving_of)]) -> ModelOut:
    """A served model, with the hashes of its files and the card that says how it was made."""
    serving.require_model(name)
    return _model(serving)


@router.get("/v1/strategies")
async def strategies() -> StrategyList:
    """The decoding strategies and the JSON Schema of their parameters, for the request's `strategy`."""
    return StrategyList(
        data=[
            StrategyOut(kind=info.kind, summary=info.summary, params_schema=dict(info.params_schema))
            for info in STRATEGIES.values()
        ]
    )


@router.get("/v1/signals")
async def signals() -> SignalList:
    """The signals that can be asked for with every token, for the request's `signals`."""
    return SignalList(
        data=[
            SignalOut(
                name=signal.name,
                unit=signal.unit,
                higher_means=signal.higher_means,
                description=signal.description,
            )
            for signal in SIGNALS.values()
        ],
        value_schema={
            "type": "array",
            "uniqueItems": True,
            "items": {"type": "string", "enum": list(SIGNALS)},
        },
    )


def _model(serving: Serving) -> ModelOut:
    checkpoint = serving.checkpoint
    spec = checkpoint.model.spec
    return ModelOut(
        id=serving.name,
        created=serving.created,
        context_length=spec.context_length,
        vocab_size=spec.vocab_size,
        parameters=spec.parameters,
        layers=spec.n_layers,
        d_model=spec.d_model,
        end_token_id=spec.end_token_id,
        identity=asdict(checkpoint.identity),
        card=dict(checkpoint.card),
    )
