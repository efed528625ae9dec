"""Two models on the same problems: greedy, and going back where a probe or the checker objects."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from app.compare.results import Estimate
from app.compare.runner import Comparison
from app.compare.served_model import LentModels, ServedModel
from app.compare.spec import ComparisonSpec, parse_spec
from app.compare.statistics import share
from app.engine.engine import Engine
from app.findings.finding import Bench, Stopped
from app.findings.own_probe import PROBE, Labelling, fitted_probe
from models import checkpoint
from models.checkpoint import LoadedCheckpoint
from models.corpora.corpus import Corpus
from models.corpora.registry import card_of
from models.gpt2 import GPT2
from probes.store import StoredProbe

RETRY = "retry"
"""Name of the model that learnt from mistakes; the plain one is the default."""
_REGRET: Mapping[str, Any] = {
    "kind": "retry_upon_regret",
    "triggers": [{"signal": f"probe:{PROBE}", "threshold": 0.5}],
    "retry": {"first": "greedy", "temperature": 0.0, "penalty": 20.0, "per_step": 3},
}
"""As it was tuned on validation problems of the embedded model (docs/strategies-results.md)."""
ARMS: tuple[Mapping[str, Any], ...] = (
    {"name": "plain_greedy", "strategy": {"kind": "greedy"}},
    {"name": "plain_regret", "strategy": _REGRET},
    {"name": "plain_oracle", "strategy": {"kind": "oracle_retry", "retry": _REGRET["retry"]}},
    {"name": "retry_greedy", "strategy": {"kind": "greedy"}, "model": RETRY},
    {"name": "retry_regret", "strategy": _REGRET, "model": RETRY},
)
ARM_NAMES = tuple(str(arm["name"]) for arm in ARMS)


def with_probe(
    network: GPT2, corpus: Corpus, name: str, folder: Path, labelling: Labelling, seed: int
) -> tuple[LoadedCheckpoint, StoredProbe]:
    """A checkpoint of a network with a probe of its own mistakes; see `fitted_probe`."""
    if not (folder / "checkpoint").exists():
        card = {"name": name, "corpus": card_of(corpus)}
        checkpoint.save(folder / "checkpoint", network, corpus.make_tokenizer(), card)
    loaded = checkpoint.load(folder / "checkpoint")
    return loaded, fitted_probe(loaded, corpus, folder, labelling, seed)


def compare(
    plain: tuple[LoadedCheckpoint, StoredProbe],
    retry: tuple[LoadedCheckpoint, StoredProbe],
    sizes: range,
    problems: int,
    seed: int,
    bench: Bench,
) -> dict[str, object]:
    """Whole solutions right, and tokens a problem, of each arm on the same problems of the test split.

    Raises:
        Stopped: somebody wanted it to end; the folder has what is done.
    """
    spec = _spec(sizes, problems, seed)
    with ExitStack() as stack:

        def served(loaded: LoadedCheckpoint, probe: StoredProbe) -> ServedModel:
            engine = stack.enter_context(Engine(loaded, probes=[probe.probe]))
            return ServedModel(engine, loaded, (probe,))

        comparison = Comparison(LentModels({None: served(*plain), RETRY: served(*retry)}), spec)
        folder = stack.enter_context(comparison.folder(bench.folder / "comparison"))

        def told(_outcome: object) -> None:
            bench.told(len(folder.outcomes) / comparison.total)

        if not comparison.run(folder, told, cancelled=bench.should_stop):
            raise Stopped(
                f"{folder.path}: stopped after {len(folder.outcomes)} of {comparison.total} answers"
            )
        outcomes = list(folder.outcomes)
    found: dict[str, object] = {}
    for arm in spec.arms:
        its = [each for each in outcomes if each.arm == arm.name]
        right = share(np.array([float(bool(each.solved)) for each in its]))
        found[arm.name] = (right or Estimate(value=0.0)).model_dump()
        tokens = [each.completion_tokens + each.discarded_tokens for each in its]
        found[f"{arm.name}_tokens"] = float(np.mean(tokens))
    return found


def _spec(sizes: range, problems: int, seed: int) -> ComparisonSpec:
    return parse_spec(
        {
            "name": "five-arms",
            "arms": list(ARMS),
            "problems": {
                "source": "corpus",
                "split": "test",
                "ops": [sizes[0], sizes[-1]],
                "count": problems,
            },
            "seed": seed,
            "latency_problems": 0,
        }
    )
