from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest
import torch

from models import checkpoint
from models.corpora.corpus import DrawnProblem, judge
from models.corpora.drawing import draw_set, problems
from models.corpora.registry import corpus_named
from models.corpora.splits import split_of_template
from models.errors import CapacityError
from models.evaluate import OpResult, evaluate, solve_greedily
from models.gpt2 import Positions
from models.language_model import Integers, ModelSpec, PrefillRow, StepOutput
from models.tokenizer import END_OF_TEXT, Tokenizer
from tests.models.hub import Reference
from tests.models.tiny import CONTEXT, tiny_network

IGSM = corpus_named()


def short_problems(count: int, op: int = 2) -> list[DrawnProblem]:
    corpus = corpus_named("igsm", {"distractors_max": 1})
    return list(islice(problems(corpus, "train", 0, range(op, op + 1)), count))


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_greedy_solutions_are_those_of_transformers(
    tmp_path: Path, tokenizer: Tokenizer, positions: Positions
) -> None:
    folder = tmp_path / "tiny"
    network = tiny_network(positions, seed=4)
    with torch.no_grad():  # the end token often enough that some texts end before the context does
        network.token_embedding.weight[tokenizer.phrase_id("<|endoftext|>")] *= 3
    checkpoint.save(folder, network, tokenizer, {})
    prompts = [problem.prompt for problem in short_problems(12)]
    solutions = solve_greedily(checkpoint.load(folder).model, tokenizer, prompts)
    reference = Reference.load(folder).network
    ended = 0
    for prompt, solution in zip(prompts, solutions, strict=True):
        ids = torch.tensor([tokenizer.encode(prompt)])
        (whole,) = reference.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_length=CONTEXT + 1
        ).tolist()
        ended += whole[-1] == tokenizer.end_token_id
        written = [token_id for token_id in whole[ids.shape[1] :] if token_id != tokenizer.end_token_id]
        assert solution == tokenizer.decode(written)
    assert 0 < ended < len(prompts)


class Cache:
    """Holds nothing; the scripted model remembers what it was asked."""

    def __init__(self, slots: int, length: int) -> None:
        self.slots, self.length = slots, length
        self.held_bytes = self.most_bytes = self.text_bytes = 0
        self.answers: dict[int, tuple[int, Sequence[int]]] = {}

    def cut(self, slot: int, length: int) -> None:
        pass

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        assert start == 0
        assert end > self.answers[source][0] - 1
        self.answers[target] = self.answers[source]


@dataclass
class ScriptedModel:
    """Writes a given solution to each prompt, whatever the tokens that it is fed."""

    tokenizer: Tokenizer
    script: dict[str, str]
    context_length: int = 256

    @property
    def spec(self) -> ModelSpec:
        vocabulary = self.tokenizer.vocab_size
        return ModelSpec(
            "script", vocabulary, self.context_length, 1, 1, 0, (self.tokenizer.phrase_id(END_OF_TEXT),)
        )

    def new_cache(self, slots: int, length: int) -> Cache:
        return Cache(slots, length)

    def prefill(
        self, cache: Cache, rows: Sequence[PrefillRow], hidden_layers: Sequence[int] = ()
    ) -> StepOutput:
        assert not hidden_layers
        for row in rows:
            solution = self.script[self.tokenizer.decode(row.token_ids)]
            cache.answers[row.slot] = len(row.token_ids), self.tokenizer.encode(solution)
        return self._say(cache.answers[row.slot][1][0] for row in rows)

    def step(
        self,
        cache: Cache,
        token_ids: Integers,
        slots: Integers,
        positions: Integers,
        hidden_layers: Sequence[int] = (),
    ) -> StepOutput:
        assert not hidden_layers
        said: list[int] = []
        for slot, position, token_id in zip(slots, positions, token_ids, strict=True):
            prompt_length, answer = cache.answers[slot]
            assert position < self.context_length
            # A text that ended at once is carried along with the last token of its prompt.
            assert position < prompt_length or answer[position - prompt_length] == token_id
            said.append(answer[position - prompt_length + 1])
        return self._say(said)

    def extend(self, cache: Cache, row: PrefillRow, hidden_layers: Sequence[int] = ()) -> StepOutput:
        raise NotImplementedError

    def score(self, token_ids: Sequence[int], hidden_layers: Sequence[int] = ()) -> StepOutput:
        raise NotImplementedError

    def _say(self, token_ids: Iterable[int]) -> StepOutput:
        ids = torch.tensor(list(token_ids))
        return StepOutput(torch.nn.functional.one_hot(ids, self.tokenizer.vocab_size).float(), {})


END = "<|endoftext|>"


def damaged(problem: DrawnProblem, place: int) -> str:
    """A solution of that problem, right or wrong in one of several ways."""
    solution = problem.solution
    steps, _, answer = solution.rpartition("Answer: ")
    first = steps.index(". ") + 2
    return (
        "\n"
        + (
            solution,
            f"{steps}Answer: {(int(problem.answer) + 1) % 11}",  # a wrong answer after right steps
            steps.strip(),  # no answer
            steps[first:] + f"Answer: {answer}",  # a step too few, yet the right answer
            steps[:first] + solution,  # a step twice
            "nonsense",
            "",
        )[place]
    )


@pytest.mark.parametrize("batch_size", [1, 3, 128])
def test_counts_are_those_of_the_checker(tokenizer: Tokenizer, batch_size: int) -> None:
    chosen = [p for p in short_problems(200, op=3) if "=" not in p.solution.split(".")[0]][:21]
    script = {p.prompt: damaged(p, i % 7) for i, p in enumerate(chosen)}
    model = ScriptedModel(tokenizer, {prompt: text + END for prompt, text in script.items()})
    batches: list[int] = []
    result = evaluate(model, tokenizer, IGSM, chosen, batch_size, batches.append)

    reports = [judge(IGSM, prompt, text) for prompt, text in script.items()]
    wrong = [
        [step.verdict for step in r.steps if step.verdict != "correct"] for r in reports if not r.correct
    ]
    assert len(script) == len(chosen) == 21
    assert result == OpResult(
        op=3,
        problems=21,
        solved=sum(report.correct for report in reports),
        answered=sum(report.answer_correct for report in reports),
        majority=max(Counter(problem.answer for problem in chosen).values()),
        first_errors=Counter(verdicts[0] if verdicts else "incomplete" for verdicts in wrong),
    )
    # The script alone says: a seventh of each kind, and the right answer in three of the seven.
    assert (result.solved, result.answered) == (3, 9)
    assert result.first_errors["repeated"] == 3
    assert result.first_errors["incomplete"] >= 3
    assert list(result.first_errors.values()) == sorted(result.first_errors.values(), reverse=True)
    assert sum(batches) == 21
    assert max(batches) <= batch_size


def test_text_that_does_not_end_is_cut_at_the_context(tokenizer: Tokenizer) -> None:
    prompt = short_problems(1)[0].prompt
    length = len(tokenizer.encode(prompt))
    model = ScriptedModel(tokenizer, {prompt: "Boats are 7. " * 50}, context_length=length + 10)
    (solution,) = solve_greedily(model, tokenizer, [prompt])
    # Ten more positions, and the token after the last of them.
    assert tokenizer.encode(solution) == tokenizer.encode("Boats are 7. " * 50)[:11]


def test_prompt_longer_than_the_context_is_refused(tokenizer: Tokenizer) -> None:
    from models.decoder import Decoder

    with pytest.raises(CapacityError, match="do not fit the cache"):
        solve_greedily(Decoder(tiny_network(), "tiny", None), tokenizer, ["Boats are 7. " * 20])


def test_set_is_of_its_split_and_op_and_grows_at_its_end() -> None:
    few, many = draw_set(IGSM, "test", 3, 5, seed=1), draw_set(IGSM, "test", 3, 8, seed=1)
    assert many[:5] == few
    assert all(problem.size == 3 and split_of_template(problem.template) == "test" for problem in many)
    assert draw_set(IGSM, "test", 3, 5, seed=2) != few
