"""What `demur generate` writes, and how it looks in a terminal and as JSON."""

import codecs
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.decoding.calibration.calibration import read_calibration
from app.decoding.core.signals import SIGNALS
from app.decoding.core.types import Token
from app.engine.engine import Engine
from app.engine.types import (
    ChoiceDone,
    EngineLimits,
    Failed,
    GenerationRequest,
    RequestDone,
    TokenOut,
    Usage,
)
from models.checkpoint import LoadedCheckpoint
from models.tokenizer import Tokenizer
from probes.probe import Probe

# Entropy in nats below which a token gets a colour, the same in every run; 0.69 is a coin's.
ENTROPY_COLOURS: Sequence[tuple[float, str]] = (
    (0.01, "green"),
    (0.1, "cyan"),
    (0.4, "yellow"),
    (0.7, "dark_orange"),
    (float("inf"), "bold red"),
)


@dataclass(frozen=True)
class GeneratedChoice:
    """A completion and its text."""

    text: str
    done: ChoiceDone


@dataclass(frozen=True)
class GeneratedText:
    """Everything that came of one request."""

    model: str
    request: GenerationRequest
    choices: Sequence[GeneratedChoice]
    usage: Usage


def write(
    loaded: LoadedCheckpoint, request: GenerationRequest, probes: Sequence[Probe] = ()
) -> GeneratedText:
    """Run a request to its end.

    Raises:
        DemurError: the request is at fault, or the engine failed.
    """
    texts: dict[int, str] = {}
    done: list[ChoiceDone] = []
    usage = Usage(0, 0)
    limits = EngineLimits(max_rows=max(1, min(request.n, 32)))
    calibration = read_calibration(loaded.path, loaded.identity)
    with Engine(loaded, limits, probes, calibration) as engine:
        for item in engine.submit(request):
            match item:
                case TokenOut() | ChoiceDone():
                    texts[item.index] = texts.get(item.index, "") + item.text
                    if isinstance(item, ChoiceDone):
                        done.append(item)
                case RequestDone():
                    usage = item.usage
                case Failed():
                    raise item.error
                case _:
                    pass
    done.sort(key=lambda choice: choice.index)
    return GeneratedText(
        loaded.model.spec.name,
        request,
        [GeneratedChoice(texts[choice.index], choice) for choice in done],
        usage,
    )


def to_json(written: GeneratedText, tokenizer: Tokenizer) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "model": written.model,
        "seed": written.request.seed,
        "choices": [
            {
                "index": choice.done.index,
                "text": choice.text,
                "finish_reason": choice.done.finish_reason,
                "stop_reason": choice.done.stop_reason,
                "tokens": [
                    _token_json(token, text, tokenizer)
                    for token, text in zip(choice.done.tokens, _texts(choice, tokenizer), strict=True)
                ],
                "events": [asdict(event) for event in choice.done.events],
            }
            for choice in written.choices
        ],
        "usage": asdict(written.usage),
    }


def _texts(choice: GeneratedChoice, tokenizer: Tokenizer) -> list[str]:
    """The tokens' texts by themselves. Special tokens and what ended the text have none."""
    texts = [tokenizer.decode([token.id], skip_special_tokens=True) for token in choice.done.text_tokens]
    return [*texts, ""] if choice.done.ended_by_token else texts


def _token_json(token: Token, text: str, tokenizer: Tokenizer) -> dict[str, Any]:
    alternatives = [
        {"token": tokenizer.decode([other.token_id]), "logprob": other.logprob} for other in token.top
    ]
    return {
        "token": text,
        "token_id": token.id,
        "logprob": token.logprob,
        **({"forced": True} if token.forced else {}),
        **token.signals,
        **({"top_logprobs": alternatives} if alternatives else {}),
    }


def show(written: GeneratedText, tokenizer: Tokenizer, *, with_table: bool) -> None:
    """Print the completions, and on standard error what is about them.

    In a terminal they are coloured and numbered; else they stand as they are, an empty line between them.
    """
    console, aside = Console(highlight=False), Console(highlight=False, stderr=True)
    for choice in written.choices:
        if console.is_terminal:
            if len(written.choices) > 1:
                console.rule(f"{choice.done.index}", align="left", style="dim")
            console.print(coloured(choice, tokenizer), soft_wrap=True)
        else:
            typer.echo(f"\n{choice.text}" if choice.done.index else choice.text)
        if with_table:
            console.print(_table(choice, tokenizer))
    if console.is_terminal:
        aside.print(_legend(), soft_wrap=True)
    usage = written.usage
    reasons = ", ".join(sorted({choice.done.finish_reason for choice in written.choices}))
    aside.print(
        f"{usage.completion_tokens} tokens, {usage.discarded_tokens} discarded, ended by {reasons}, "
        f"seed {written.request.seed}",
        style="dim",
        soft_wrap=True,
    )


def coloured(choice: GeneratedChoice, tokenizer: Tokenizer) -> Text:
    """The completion's text, each token in the colour of its entropy."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = Text()
    for token in choice.done.text_tokens:
        if token.id not in tokenizer.special_ids:
            piece = decoder.decode(tokenizer.token_bytes(token.id))
            text.append(piece, style=colour(token.signals.get("entropy")))
    return text[: len(choice.text)]  # a stop string may begin within the last token


def colour(entropy: float | None) -> str:
    """The colour of an entropy in nats; None where it was not asked for."""
    if entropy is None:
        return "dim"
    return next(name for bound, name in ENTROPY_COLOURS if entropy < bound)


def _legend() -> Text:
    legend = Text("entropy in nats, on the same scale in every run: ", style="dim")
    low = "0"
    for bound, name in ENTROPY_COLOURS:
        label = f"{low} to {bound:g}" if bound != float("inf") else f"{low} and more"
        legend.append(f"■ {label}  ", style=name)
        low = f"{bound:g}"
    return legend


def _table(choice: GeneratedChoice, tokenizer: Tokenizer) -> Table:
    # A probe has no value at most tokens.
    names = list(dict.fromkeys(name for token in choice.done.tokens for name in token.signals))
    table = Table("#", "token", "logprob", *(f"{name} ({_unit(name)})" for name in names))
    has_alternatives = any(token.top for token in choice.done.tokens)
    if has_alternatives:
        table.add_column("likeliest", no_wrap=True)
    for position, token in enumerate(choice.done.tokens):
        cells = [
            Text(str(position)),
            Text(repr(tokenizer.decode([token.id])), style=colour(token.signals.get("entropy"))),
            Text(f"{token.logprob:.4f}"),
            *(Text(f"{token.signals[name]:.4f}" if name in token.signals else "") for name in names),
        ]
        if has_alternatives:
            cells.append(
                Text("\n".join(_alternative(other.token_id, other.logprob, tokenizer) for other in token.top))
            )
        table.add_row(*cells)
    return table


def _unit(name: str) -> str:
    return SIGNALS[name].unit if name in SIGNALS else "probability"


def _alternative(token_id: int, logprob: float, tokenizer: Tokenizer) -> str:
    return f"{tokenizer.decode([token_id])!r} {logprob:.2f}"
