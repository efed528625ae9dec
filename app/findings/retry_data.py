"""Mistakes that are taken back in the training texts teach a model to make fewer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.compare.results import Estimate
from app.compare.statistics import wilson
from app.findings.criteria import Between, Criterion
from app.findings.figures import Bar, bars
from app.findings.finding import Bench, Experiment, Finding, Size, Stage, StageResult
from app.findings.five_arms import ARM_NAMES, compare, with_probe
from app.findings.knowledge import less
from app.findings.networks import computed, cost_of, digest_of, trained
from app.findings.new_words import with_words_of
from app.findings.own_probe import Labelling
from app.settings import EMBEDDED_CHECKPOINT
from models.checkpoint import LoadedCheckpoint, load_network
from models.corpora.corpus import judge
from models.corpora.drawing import draw_set
from models.corpora.retry.retry import Retry, RetrySettings
from models.corpora.splits import Split
from models.evaluate import solve_greedily
from models.files import read_json
from models.gpt2 import GPT2
from models.tokenizer import TOKENIZER_FILE, Tokenizer
from models.training.config import PretrainConfig
from probes.store import StoredProbe

HYPOTHESIS = (
    Criterion(
        "solved",
        "condition: whole solutions right at the largest size in range, without retry data",
        supported=Between(low=0.80),
        unit="%",
    ),
    Criterion(
        "ood_gain",
        "whole solutions right beyond the training's sizes: the better of rates 0.2 and 0.5 less rate 0",
        supported=Between(low=0.05),
        refuted=(Between(high=0.0),),
        unit="%",
    ),
)

OP_MAX = 6
BEYOND = range(7, 9)
"""Sizes that no training text has."""
_BATCH = 128


@dataclass(frozen=True)
class RetryExtent:
    """How much of everything: tokens of each training, problems of a size in range and in all beyond, and the
    labels that probes are fitted on."""

    tokens: int
    decay_tokens: int
    solved: int
    beyond: int
    labels: Labelling


EXTENTS: Mapping[Size, RetryExtent] = {
    "quick": RetryExtent(7_000, 3_000, solved=10, beyond=10, labels=Labelling(0.02, (1.0,))),
    "full": RetryExtent(4_000_000, 3_000_000, solved=1000, beyond=1000, labels=Labelling(0.4)),
}


@dataclass(frozen=True)
class Mistakes:
    """How often the training's solutions begin wrong, and whether the loss leaves the wrong names out."""

    rate: float
    masked: bool = False

    @property
    def name(self) -> str:
        return f"rate {self.rate:g}" + (", masked" if self.masked else "")


PLAIN = Mistakes(0.0)
RATES = (Mistakes(0.2), Mistakes(0.5))
TRAINED = (PLAIN, *RATES, Mistakes(0.2, masked=True), Mistakes(0.5, masked=True))
ARMS = "five arms"


def pretraining(extent: RetryExtent, mistakes: Mistakes, seed: int) -> tuple[PretrainConfig, GPT2, Tokenizer]:
    """The run, the network that it starts from, the embedded one with a word more, and its tokenizer."""
    network, _ = load_network(EMBEDDED_CHECKPOINT)
    corpus = Retry(RetrySettings(op_max=OP_MAX, rate=mistakes.rate, masked=mistakes.masked))
    tokenizer = corpus.make_tokenizer()
    initial = with_words_of(network, Tokenizer.load(EMBEDDED_CHECKPOINT / TOKENIZER_FILE), tokenizer)
    config = PretrainConfig(
        corpus=corpus,
        tokens=extent.tokens,
        decay_tokens=extent.decay_tokens,
        rows=12,
        row_length=256,
        muon_rate=0.007,
        adamw_rate=0.0014,
        op_weights=(1.0, 1.0, 1.0, 2.0, 3.0, 4.0),
        op_start=OP_MAX,
        validate_tokens=10**9,
        validate_problems=1,
        init_weights=digest_of(initial),
        seed=seed,
    )
    return config, initial, tokenizer


def stages(size: Size, seed: int) -> Sequence[Stage]:
    extent = EXTENTS[size]
    parameters = 12 * 6 * 192**2
    solving = 30.0 * (extent.solved + 2 * extent.beyond)  # forwards only, of some 90 tokens
    training = cost_of(extent.tokens + solving, parameters)
    labelling = cost_of(2e6 * extent.labels.scale + 200.0 * extent.beyond, parameters)
    every = TRAINED if size == "full" else (PLAIN, *RATES)
    return [
        *(Stage(each.name, training, partial(_measure, extent, each, seed)) for each in every),
        Stage(ARMS, labelling, partial(_compare, extent, seed)),
    ]


def _network(
    extent: RetryExtent, mistakes: Mistakes, seed: int, bench: Bench
) -> tuple[Retry, GPT2, Tokenizer]:
    config, initial, tokenizer = pretraining(extent, mistakes, seed)
    network = trained(config, bench.folder / mistakes.name / "pretraining", bench, initial)
    return Retry(RetrySettings(**config.corpus.settings.model_dump())), network, tokenizer


def _measure(extent: RetryExtent, mistakes: Mistakes, seed: int, bench: Bench) -> StageResult:
    """Whole solutions right in range and beyond it, and what is taken back in them."""
    corpus, network, tokenizer = _network(extent, mistakes, seed, bench)

    def solved(split: Split, sizes: range, count: int) -> tuple[Estimate, float]:
        right, back = 0, 0
        for size in sizes:
            problems = draw_set(corpus, split, size, count // len(sizes), seed=seed)
            its_right, its_back = _solve(network, tokenizer, corpus, [each.prompt for each in problems])
            right, back = right + its_right, back + its_back
        total = len(sizes) * (count // len(sizes))
        low, high = wilson(right, total)
        return Estimate(value=right / total, low=low, high=high), back / total

    largest, _ = solved("test", range(OP_MAX, OP_MAX + 1), extent.solved)
    beyond, taken_back = solved("test", BEYOND, extent.beyond)
    validation, _ = solved("validation", BEYOND, extent.beyond)
    return {
        "largest": largest.model_dump(),
        "beyond": beyond.model_dump(),
        "beyond_validation": validation.value,
        "taken_back_beyond": taken_back,
    }


def _solve(network: GPT2, tokenizer: Tokenizer, corpus: Retry, prompts: Sequence[str]) -> tuple[int, int]:
    """How many greedy solutions are right, and how many beginnings are taken back in all."""
    decoder = computed(network, tokenizer.end_token_id)
    right = back = 0
    for start in range(0, len(prompts), _BATCH):
        chunk = prompts[start : start + _BATCH]
        for prompt, solution in zip(chunk, solve_greedily(decoder, tokenizer, chunk), strict=True):
            right += judge(corpus, prompt, solution).correct
            back += solution.count(" BACK")
    return right, back


def _compare(extent: RetryExtent, seed: int, bench: Bench) -> StageResult:
    """The plain model and that of the rate which does better on validation problems, in five arms."""
    chosen = better({each: read_json(bench.folder / f"{each.name}.json") for each in RATES})
    served: list[tuple[LoadedCheckpoint, StoredProbe]] = []
    for mistakes in (PLAIN, chosen):
        corpus, network, _ = _network(extent, mistakes, seed, bench)
        folder = bench.folder / mistakes.name
        served.append(
            with_probe(network, corpus, mistakes.name.replace(" ", "-"), folder, extent.labels, seed)
        )
        bench.told(0.3 * len(served))
    plain, retry = served

    def told(share: float) -> None:
        bench.told(0.6 + 0.4 * share)

    rest = replace(bench, told=told)
    return {"chosen": chosen.name} | compare(plain, retry, BEYOND, extent.beyond, seed, rest)


def measured(results: Mapping[str, StageResult]) -> Mapping[str, Estimate]:
    found: dict[str, Estimate] = {}
    if PLAIN.name in results:
        found["solved"] = Estimate(**results[PLAIN.name]["largest"])
    if all(each.name in results for each in (PLAIN, *RATES)):
        chosen = better({each: results[each.name] for each in RATES})
        plain = Estimate(**results[PLAIN.name]["beyond"])
        found["ood_gain"] = less(Estimate(**results[chosen.name]["beyond"]), plain)
    return found


def better(results: Mapping[Mistakes, StageResult]) -> Mistakes:
    """The one that solves more problems of the validation split beyond the training's sizes."""
    return max(results, key=lambda each: results[each]["beyond_validation"])


def figure(results: Mapping[int, Mapping[str, StageResult]]) -> str:
    values = [
        Bar(label, seed, Estimate(**by_stage[stage][key]))
        for seed, by_stage in results.items()
        for stage, key, label in (
            *((each.name, "beyond", f"greedy: {each.name}") for each in TRAINED),
            *((ARMS, name, name.replace("_", ", ")) for name in ARM_NAMES),
        )
        if stage in by_stage
    ]
    return bars(values, f"whole solutions right, op {BEYOND[0]} and {BEYOND[-1]}")


FINDING = Finding(
    name="retry_data",
    title="Learning from mistakes that are taken back",
    claim="A model pretrained on solutions with wrong beginnings that are taken back solves larger problems"
    " than one that saw only right ones, and more than going back adds at decoding.",
    source="Physics of Language Models 2.2, arXiv 2408.16293, section 4",
    design="The corpus retry: igsm with `BACK` after a quantity that is not ready yet, at rates 0, 0.2 and "
    "0.5, the wrong names masked in the loss and not. Each model is the embedded one, which was trained on "
    "op 1 to 6 without mistakes, with one word more and trained on for 4M tokens, as many for each rate; "
    "seeds differ by their problems. What decides is the better rate on validation problems, unmasked. Then "
    "1,000 problems of op 7 and 8: the plain model greedy, with retry_upon_regret and with the oracle; that "
    "of the better rate greedy and with regret; each with a `step_error` probe of its own.",
    criteria=HYPOTHESIS,
    experiment=Experiment(stages=stages, measured=measured, figure=figure),
    minutes=640,
)
