"""Traces by OpenTelemetry: FastAPI makes one span of each request, and here it is told what the request was.

Names of attributes: OpenTelemetry's semantic conventions of generative AI where they have one, else our own.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from app.api.key_gate import routed_path
from app.api.request_record import RequestRecord
from app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.trace import TracerProvider
    from starlette.types import Scope

_NOT_TRACED = ("/health/", "/metrics")


def telemetry(settings: Settings, provider: "TracerProvider | None" = None) -> "TelemetryConfig":
    """For FastAPI: a span of each request if they are asked for, and nothing else that it could send.

    provider: who takes them; None is who the variables OTEL_EXPORTER_OTLP_... name.

    Raises:
        SettingsError: what sends them is not installed.
    """
    if settings.tracing and find_spec("opentelemetry.sdk") is None:
        raise SettingsError("DEMUR_TRACING is true: traces need the extra `otel`, pip install 'demur[otel]'")
    return {
        "tracing": settings.tracing,
        "tracer_provider": provider,
        "auto_configure": settings.tracing and provider is None,
        "metrics": False,
        "logs": False,
        "operation_spans": False,
        "exclude": _is_not_traced,
    }


def describe_span(record: RequestRecord) -> None:
    """Add what is known of a request to its span, which is the current one; a rewind is an event."""
    from opentelemetry import trace

    span = trace.get_current_span()
    attributes = {
        "demur.request_id": record.id,
        "demur.key": record.key,
        "gen_ai.request.model": record.model,
        "demur.strategy": record.strategy,
        "error.type": record.error or "",
    }
    span.set_attributes({name: value for name, value in attributes.items() if value})
    if record.model:
        span.set_attribute("gen_ai.usage.input_tokens", record.prompt_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", record.kept_tokens)
        span.set_attribute("demur.discarded_tokens", record.discarded_tokens)
        span.set_attribute("gen_ai.response.finish_reasons", sorted(record.reasons))
    if record.first_token_seconds is not None:
        span.set_attribute("demur.first_token_seconds", record.first_token_seconds)
    for rewind in record.rewinds:
        what = {
            "demur.rule": rewind.rule,
            "demur.position": rewind.position,
            "demur.discarded": rewind.discarded,
        }
        span.add_event("rewind", what, timestamp=rewind.at_ns)


def _is_not_traced(scope: "Scope") -> bool:
    """Whoever asks how the server is asks all the time."""
    return scope["type"] == "http" and routed_path(scope).startswith(_NOT_TRACED)
