"""A small checkpoint with a corpus, and the shortest way to run a comparison on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.compare.outcome import Outcome
from app.compare.problems import AT_A_TERMINAL, Allowance
from app.compare.runner import Comparison
from app.compare.served_model import LentModels, ServedModel
from app.compare.spec import ComparisonSpec, parse_spec
from app.engine.engine import Engine
from app.engine.types import EngineLimits
from models.checkpoint import LoadedCheckpoint, load
from tests.app.api.checkpoints import CORPUS, write_random_checkpoint

GREEDY: Mapping[str, Any] = {"name": "greedy", "strategy": {"kind": "greedy"}}
WARM: Mapping[str, Any] = {"name": "warm", "strategy": {"kind": "sample"}, "temperature": 0.7}
VOTE: Mapping[str, Any] = {"name": "vote", "strategy": {"kind": "self_consistency", "samples": 3}}
BEAM: Mapping[str, Any] = {"name": "beam", "strategy": {"kind": "beam", "width": 3}}
ORACLE: Mapping[str, Any] = {"name": "oracle", "strategy": {"kind": "oracle_retry"}}


def small_checkpoint(folder: Path) -> LoadedCheckpoint:
    """Random weights and the corpus' tokenizer."""
    write_random_checkpoint(folder, CORPUS)
    return load(folder)


def make_spec(
    *arms: Mapping[str, Any], count: int = 6, ops: Sequence[int] = (2, 4), **rest: Any
) -> ComparisonSpec:
    """A comparison of short texts on problems of the corpus, unless `rest` says otherwise."""
    fields: dict[str, Any] = {
        "arms": [dict(arm) for arm in arms or (GREEDY, WARM)],
        "problems": {"source": "corpus", "split": "validation", "ops": list(ops), "count": count},
        "max_tokens": 12,
        "latency_problems": 0,
    }
    return parse_spec(fields | rest)


def given(items: Sequence[Mapping[str, Any]], **rest: Any) -> dict[str, Any]:
    """Problems that come with the spec."""
    return {"problems": {"source": "given", "items": [dict(item) for item in items], **rest}}


def engine_for(checkpoint: LoadedCheckpoint, rows: int = 8) -> Engine:
    """An engine without probes."""
    return Engine(checkpoint, EngineLimits(max_rows=rows))


def only(engine: Engine, checkpoint: LoadedCheckpoint) -> LentModels:
    """One model, for arms that name none."""
    return LentModels.only(ServedModel(engine, checkpoint))


def run(
    checkpoint: LoadedCheckpoint,
    spec: ComparisonSpec,
    path: Path,
    rows: int = 8,
    allowance: Allowance | None = None,
) -> list[Outcome]:
    """Run a comparison, or the rest of it."""
    with engine_for(checkpoint, rows) as engine:
        comparison = Comparison(only(engine, checkpoint), spec, allowance)
        with comparison.folder(path) as folder:
            assert comparison.run(folder)
            return list(folder.outcomes)


def run_at_a_terminal(checkpoint: LoadedCheckpoint, spec: ComparisonSpec, path: Path) -> list[Outcome]:
    """Run a comparison as `demur compare` does, which may run commands."""
    return run(checkpoint, spec, path, allowance=AT_A_TERMINAL)


def lasting(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], dict[str, Any]]:
    """Outcomes by problem and arm, without what depends on when they were computed."""
    times = {"latency_s", "cached_tokens"}
    return {outcome.key: outcome.model_dump(exclude=times) for outcome in outcomes}
