"""GET /v1/models, /v1/strategies, /v1/signals and /v1/probes: what is served and what can be asked of it."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import TypeAdapter

from app.api.errors import ERROR_RESPONSES
from app.api.rendering import number
from app.api.schemas.catalogue import (
    ModelList,
    ModelOut,
    ProbeList,
    ProbeOut,
    SignalList,
    SignalOut,
    StrategyList,
    StrategyOut,
)
from app.api.service import ModelQuery, Service, service_of, serving_of_name
from app.api.serving import Serving
from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.core.signals import PROBE_PREFIX, SIGNALS
from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import STRATEGIES, RequestStrategy
from app.engine.types import GenerationRequest
from app.errors import RequestError
from app.redaction import without_folders
from app.settings import Settings
from probes.card import PositionCard, ProbeCard

router = APIRouter(tags=["catalogue"])

_STRATEGY: TypeAdapter[RequestStrategy] = TypeAdapter(RequestStrategy)
_ERRORS = {status: ERROR_RESPONSES[status] for status in (404, 503, "default")}


@router.get("/v1/models", responses=_ERRORS)
async def models(request: Request) -> ModelList:
    """The served models, and what each of them can do. The first answers requests that name none."""
    service = service_of(request)
    service.require_ready()
    return ModelList(data=[_model(name, service) for name in service.house.models])


@router.get("/v1/models/{name:path}", responses=_ERRORS)
async def model(name: str, request: Request) -> ModelOut:
    """A served model, with the hashes of its files and the card that says how it was made."""
    service = service_of(request)
    service.require_ready()
    return _model(name, service)


@router.get("/v1/strategies", responses=_ERRORS)
async def strategies(request: Request, model: ModelQuery = None) -> StrategyList:
    """The decoding strategies and the JSON Schema of their parameters, for the request's `strategy`.

    Of a model that is not loaded, nothing is said of what it lacks.
    """
    serving = service_of(request).house.find(model).serving
    return StrategyList(
        data=[
            StrategyOut(
                kind=info.kind,
                summary=info.summary,
                params_schema=dict(info.params_schema),
                unavailable=serving and _refusal(info.kind, serving),
            )
            for info in STRATEGIES.values()
        ]
    )


@router.get("/v1/signals", responses=_ERRORS)
async def signals(serving: Annotated[Serving, Depends(serving_of_name)]) -> SignalList:
    """The signals that can be asked for with every token, for the request's `signals`; probes among them."""
    return SignalList(
        data=[
            SignalOut(
                name=signal.name,
                unit=signal.unit,
                higher_means=signal.higher_means,
                description=signal.description,
                quantiles=_quantiles(signal.name, serving.calibration),
            )
            for signal in SIGNALS.values()
        ]
        + [_probe_signal(stored.card) for stored in serving.probes],
        value_schema={
            "type": "array",
            "uniqueItems": True,
            "items": {"type": "string", "enum": list(serving.engine.signals)},
        },
    )


@router.get("/v1/probes", responses=_ERRORS)
async def probes(serving: Annotated[Serving, Depends(serving_of_name)]) -> ProbeList:
    """The probes of the served model with their cards: what they read, what it means, what speaks for it."""
    return ProbeList(
        data=[
            ProbeOut(name=stored.card.name, signal=PROBE_PREFIX + stored.card.name, card=stored.card)
            for stored in serving.probes
        ]
    )


def _probe_signal(card: ProbeCard) -> SignalOut:
    return SignalOut(
        name=PROBE_PREFIX + card.name,
        unit="probability",
        higher_means="positive",
        description=f"Calibrated probability of: {card.positive}. Read at {_where(card.position)}, and at no "
        f"other token. GET /v1/probes has its card.",
        quantiles=None,
    )


def _refusal(kind: str, serving: Serving) -> str | None:
    """What the engine says to a request for a strategy with its defaults; None if it takes it."""
    strategy = _STRATEGY.validate_python({"kind": kind})
    try:
        serving.engine.check(
            GenerationRequest((0,), strategy, SamplingParams(), StoppingParams(max_tokens=1))
        )
    except RequestError as error:
        return error.message
    return None


def _quantiles(name: str, calibration: SignalCalibration | None) -> list[float] | None:
    measured = calibration and calibration.signals.get(name)
    return [number(value) for value in measured.quantiles] if measured else None


def _where(position: PositionCard) -> str:
    match position.at:
        case "prompt":
            return "the completion's first token, before it is chosen"
        case "read":
            return f"token {position.read + 1} of each step, before it is chosen"
        case "marker":
            return "the first marker of each step, or else the token that closes it"
        case "close":
            return "the token that closes a step"
        case "every":
            return "every token"


def _dtype(settings: Settings) -> str:
    """What a model of another make computes in."""
    return "float32" if (settings.device, settings.dtype) == ("cpu", "auto") else settings.dtype


def _model(name: str, service: Service) -> ModelOut:
    """What is known of a model.

    Raises:
        ApiError: 404, there is none of this name.
    """
    housed, settings = service.house.find(name), service.settings
    facts, serving = housed.facts, housed.serving
    spec = facts and facts.spec
    return ModelOut(
        id=name,
        created=serving.created if serving else 0,
        loaded=serving is not None,
        state=housed.state,
        error=None if housed.failure is None else without_folders(str(housed.failure)),
        default=name == service.house.default,
        device=settings.device,
        dtype=(spec and spec.dtype) or _dtype(settings),
        kernel=spec and spec.kernel,
        quantisation=spec and spec.quantisation,
        context_length=spec and min(spec.context_length, settings.max_context or spec.context_length),
        vocab_size=spec and spec.vocab_size,
        parameters=spec and spec.parameters,
        layers=spec and spec.n_layers,
        d_model=spec and spec.d_model,
        end_token_id=spec and spec.end_token_id,
        end_token_ids=spec and list(spec.end_token_ids),
        chat=facts and facts.has_chat_template,
        calibrated=facts and facts.is_calibrated,
        probes=facts and list(facts.probes),
        identity=facts and asdict(facts.identity),
        card=facts and dict(facts.card),
    )
