"""`demur generate`: one problem, solved here and now, with the model's doubt shown in colour."""

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.commands.failures import failing_on
from app.commands.options import (
    CheckpointOption,
    DeviceOption,
    NoProbesOption,
    ProbesOption,
    from_shell,
    require_device,
)

if TYPE_CHECKING:
    from app.decoding.strategies import Strategy
    from models.checkpoint import LoadedCheckpoint
    from probes.probe import Probe


_OWN_OPTIONS = (
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "typical_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "samplers",
)


def generate(
    problem: Annotated[
        str,
        typer.Argument(
            help="The problem, ending in its question, or any text for another model; - reads it from stdin."
        ),
    ],
    checkpoint: CheckpointOption = None,
    probes: ProbesOption = None,
    no_probes: NoProbesOption = False,
    device: DeviceOption = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            help='How to decode: a kind, such as greedy, or JSON with its parameters: \'{"kind": "sample"}\'.'
            "  [default: sample; greedy at temperature 0]"
        ),
    ] = None,
    temperature: Annotated[float, typer.Option(help="0 to 100; 0 takes the likeliest token.")] = 1.0,
    top_k: Annotated[int, typer.Option(help="Draw among the k likeliest tokens; 0 is off.")] = 0,
    top_p: Annotated[float, typer.Option(help="Draw among the likeliest that reach this probability.")] = 1.0,
    min_p: Annotated[float, typer.Option(help="Draw among those with this share of the highest.")] = 0.0,
    typical_p: Annotated[float, typer.Option(help="Draw among the most typical that reach this.")] = 1.0,
    presence_penalty: Annotated[float, typer.Option(help="-2 to 2; 0 is off.")] = 0.0,
    frequency_penalty: Annotated[float, typer.Option(help="-2 to 2; 0 is off.")] = 0.0,
    repetition_penalty: Annotated[float, typer.Option(help="0.01 to 100; 1 is off.")] = 1.0,
    sampling: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Any other sampling field of the service, such as xtc_probability=0.5. Repeatable.",
        ),
    ] = None,
    samplers: Annotated[
        str | None,
        typer.Option(help="Order of the samplers, separated by commas.  [default: the service's]"),
    ] = None,
    logit_bias: Annotated[
        list[str] | None,
        typer.Option(metavar="ID=BIAS", help="Added to a token's logit, -100 to 100. Repeatable."),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="Most tokens.  [default: what the context still holds]")
    ] = None,
    stop: Annotated[list[str] | None, typer.Option(help="A string that ends the text. Repeatable.")] = None,
    stop_token_id: Annotated[
        list[int] | None, typer.Option(help="A token id that ends the text. Repeatable.")
    ] = None,
    ignore_eos: Annotated[bool, typer.Option("--ignore-eos", help="Go on past the end token.")] = False,
    n: Annotated[int, typer.Option("-n", "--n", help="Number of completions.")] = 1,
    seed: Annotated[int | None, typer.Option(help="Same seed, same text.  [default: random]")] = None,
    signals: Annotated[
        str,
        typer.Option(
            help="Signals to compute, separated by commas, probes as probe:NAME; `all` is every one."
        ),
    ] = "entropy,varentropy",
    top_logprobs: Annotated[int, typer.Option(help="Likeliest alternatives to list per token.")] = 0,
    table: Annotated[bool, typer.Option("--table", help="Also print a table of tokens.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of coloured text.")
    ] = False,
) -> None:
    """Solve a problem with a local checkpoint, each token coloured by its entropy.

    Standard output has the answer and nothing else, unless --table or --json asks for more; in a terminal it
    is coloured. What the colours mean, and how many tokens it took, goes to standard error.
    """
    from app.commands.written import show, to_json, write
    from app.decoding.core.types import StoppingParams
    from app.decoding.sampling.params import SamplingParams
    from app.engine.types import GenerationRequest
    from app.errors import DemurError
    from models.errors import ModelsError
    from probes.errors import ProbesError

    with failing_on(DemurError, ModelsError, ProbesError):
        loaded, stored = _load(checkpoint, device, probes, no_probes)
        prompt_ids = tuple(loaded.tokenizer.encode_prompt(_prompt(problem, loaded)))
        request = GenerationRequest(
            prompt_ids=prompt_ids,
            strategy=_strategy(strategy, temperature),
            sampling=SamplingParams(
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                min_p=min_p,
                typical_p=typical_p,
                presence_penalty=presence_penalty,
                frequency_penalty=frequency_penalty,
                repetition_penalty=repetition_penalty,
                logit_bias=_biases(logit_bias or []),
                samplers=None if samplers is None else _names(samplers),
                **_settings(sampling or []),
            ),
            stopping=StoppingParams(
                max_tokens=_room(loaded, prompt_ids) if max_tokens is None else max_tokens,
                stop=tuple(from_shell(each) for each in stop or ()),
                stop_token_ids=tuple(stop_token_id or ()),
                ignore_eos=ignore_eos,
            ),
            n=n,
            seed=secrets.randbits(48) if seed is None else seed,
            signals=_signal_names(signals, stored),
            top_logprobs=top_logprobs,
        )
        written = write(loaded, request, stored)
    if as_json:
        typer.echo(json.dumps(to_json(written, loaded.tokenizer), ensure_ascii=False, indent=2))
    else:
        show(written, loaded.tokenizer, with_table=table)


def _prompt(given: str, loaded: "LoadedCheckpoint") -> str:
    """What the model goes on from: the text itself; for a model of the corpus, the problem and the line break
    that separates it from its solution, so that this is not shown."""
    from app.errors import ParameterError
    from models.corpora.registry import corpus_of

    if given == "-":
        text = typer.get_text_stream("stdin", "utf-8", "replace").read().removesuffix("\n")
    else:
        text = from_shell(given)
    if not text.strip():
        raise ParameterError("The problem is empty; give a text that ends in a question.", param="problem")
    corpus = corpus_of(loaded.card)
    return text if corpus is None else text.rstrip() + corpus.layout.solution_start


def _load(
    folder: Path | None, device: str | None, probes: Path | None, no_probes: bool
) -> "tuple[LoadedCheckpoint, list[Probe]]":
    from rich.console import Console

    from app.settings import load_settings

    settings = load_settings(
        {"checkpoint": folder, "device": device, "probes": probes, "no_probes": no_probes or None}
    )
    with Console(stderr=True).status(f"Loading {settings.checkpoint}"):
        from models import checkpoint
        from probes.store import load_all

        device = require_device(settings.device)
        loaded = checkpoint.load(settings.checkpoint, device, settings.dtype, settings.kernel)
        return loaded, [each.probe for each in load_all(settings.probes_folder, loaded)]


def _strategy(given: str | None, temperature: float) -> "Strategy":
    from app.commands.strategy_flag import strategy_of_flag

    strategy = strategy_of_flag(given or ("greedy" if temperature == 0 else "sample"))
    for warning in strategy.warnings:
        typer.echo(f"Warning: {warning}", err=True)
    return strategy


def _settings(given: Sequence[str]) -> dict[str, Any]:
    """Sampling parameters that have no option of their own."""
    from app.decoding.sampling.params import DEFAULTS
    from app.errors import ParameterError

    settings: dict[str, Any] = {}
    allowed = [name for name in DEFAULTS if name not in _OWN_OPTIONS]
    for entry in given:
        name, _, value = entry.partition("=")
        if name not in allowed:
            raise ParameterError(
                f"--sampling is {entry!r}; write NAME=VALUE with one of {', '.join(allowed)}.", param=name
            )
        settings[name] = _setting(name, value)
    return settings


def _setting(name: str, value: str) -> Any:
    from app.decoding.sampling.params import DEFAULTS
    from app.errors import ParameterError

    kind = type(DEFAULTS[name])
    try:
        if name == "dry_sequence_breakers":
            return tuple(str(each) for each in json.loads(value))
        if kind is bool:
            return {"true": True, "false": False}[value]
        return kind(value)
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(
            f"--sampling is {name}={value}; the value is written as {json.dumps(DEFAULTS[name])} is.",
            param=name,
        ) from error


def _names(given: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in given.split(",") if name.strip())


def _biases(given: Sequence[str]) -> dict[int, float]:
    from app.errors import ParameterError

    biases: dict[int, float] = {}
    for entry in given:
        token_id, _, bias = entry.partition("=")
        try:
            biases[int(token_id)] = float(bias)
        except ValueError as error:
            raise ParameterError(
                f"--logit-bias is {entry!r}; write a token id, =, and a number, such as 42=-1.5.",
                param="logit_bias",
            ) from error
    return biases


def _signal_names(given: str, probes: "Sequence[Probe]") -> tuple[str, ...]:
    """The signals asked for; entropy is among them, since the colours show it."""
    from app.decoding.core.signals import PROBE_PREFIX, SIGNALS

    every = (*SIGNALS, *(PROBE_PREFIX + probe.name for probe in probes))
    names = every if given == "all" else _names(given)
    return names if "entropy" in names else ("entropy", *names)


def _room(loaded: "LoadedCheckpoint", prompt_ids: Sequence[int]) -> int:
    return max(1, loaded.model.spec.context_length - len(prompt_ids))
