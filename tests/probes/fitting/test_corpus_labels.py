from pathlib import Path
from random import Random

import pytest

from models.corpora.igsm.check import check_solution
from models.corpora.igsm.dataset import draw_in_split
from models.corpora.igsm.igsm import Igsm
from models.corpora.igsm.spec import IgsmSpec
from models.corpora.igsm.text import render_problem, render_solution
from probes.fitting.corpus_labels import Job, first_wrong, label, label_all, plan
from probes.fitting.labels import read_labels
from tests.probes.stories import story_model

SPEC = IgsmSpec(op_max=3)
IGSM = Igsm(SPEC)
NAMES = [name.capitalize() for name in SPEC.names]


def test_plan_fits_on_twenty_thousand_solutions_and_forces_only_there() -> None:
    jobs = plan(Igsm(IgsmSpec(op_max=6)))
    assert sum(job.count for job in jobs if job.part == "fit" and not job.forced) >= 20_000
    assert {job.part for job in jobs if job.forced} == {"fit"}
    assert {job.op for job in jobs} == set(range(1, 11))
    assert len({job.name for job in jobs}) == len(jobs)
    small = plan(Igsm(IgsmSpec(op_max=6)), 0.001)
    assert all(job.count >= 1 for job in small)
    assert [job.name for job in small] == [job.name for job in jobs]


def solved(text: str = "Kites are 7. Boats are 3 times kites = 3 * 7 = 10. Answer: 10") -> str:
    return "\n" + text


PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"


@pytest.mark.parametrize(
    ("solution", "kind", "wrong"),
    [
        (solved(), None, ""),
        (solved("Kites are 7. Boats are 3 times kites = 3 * 7 = 9. Answer: 9"), "arithmetic", "Boats"),
        (solved("Boats are 3 times kites = 3 * 2 = 6. Kites are 7. Answer: 6"), "not_ready", "Boats"),
        (solved("Kites are 7. Boats are 3 times kites = 3 * 7 = 10. Answer: 9"), "answer", "Answer: 9"),
        (solved("Kites are 7. Answer: 10"), "answer", "Answer: 10"),
        (solved("Kites are 7. Boats are 3 times"), "answer", "Boats are 3 times"),
        ("\n", "answer", "\n"),
    ],
)
def test_first_wrong_part(solution: str, kind: str | None, wrong: str) -> None:
    span = first_wrong(check_solution(PROBLEM, solution), solution)
    if kind is None:
        assert span is None
    else:
        assert span is not None
        assert span.kind == kind
        assert solution[span.start : span.end].startswith(wrong)


def test_reference_solutions_have_no_wrong_part() -> None:
    random = Random(0)
    for op in (1, 2, 3):
        problem = draw_in_split(random, SPEC, "train", op)
        text = "\n" + render_solution(problem)
        assert first_wrong(check_solution(render_problem(problem), text), text) is None


@pytest.mark.parametrize("forced", [False, True])
def test_labels_are_reproducible_and_hold_what_was_asked_for(forced: bool) -> None:
    model, tokenizer = story_model()
    job = Job("fit", 2, 1.0, 12, forced)
    labels = label(model, tokenizer, IGSM, job)
    assert labels == label(model, tokenizer, IGSM, job)
    assert labels != label(model, tokenizer, IGSM, job, seed=1)
    for each in labels:
        assert each.part == "fit"
        assert each.own != forced
        assert each.tags == {"op": 2, "temperature": 1.0}
        written = [token for token in each.completion_ids if token != model.spec.end_token_id]
        assert tokenizer.decode(written) == each.completion
        for span in each.wrong:
            assert each.judged == span.end
            assert span.start >= each.judged_from


def test_forced_steps_begin_with_any_quantity_that_is_left() -> None:
    model, tokenizer = story_model()
    labels = label(model, tokenizer, IGSM, Job("fit", 3, 1.0, 60, forced=True))
    begun = [each.completion[each.judged_from :] for each in labels]
    names = [name for text in begun for name in NAMES if text.startswith(name)]
    assert len(names) >= len(begun) > 40
    assert len(set(names)) > 20


def test_labelling_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    model, tokenizer = story_model()
    jobs = [Job("fit", op, 0.7, 4) for op in (1, 2, 3)]
    whole = label_all(model, tokenizer, IGSM, tmp_path / "a", jobs)
    label_all(model, tokenizer, IGSM, tmp_path / "b", jobs[:1])
    before = (tmp_path / "b" / "fit-op1-t0.7.jsonl").stat().st_mtime_ns
    done: list[int] = []
    assert label_all(model, tokenizer, IGSM, tmp_path / "b", jobs, on_progress=done.append) == whole
    assert (tmp_path / "b" / "fit-op1-t0.7.jsonl").stat().st_mtime_ns == before
    assert sum(done) == 12
    assert read_labels(tmp_path / "b" / "fit-op1-t0.7.jsonl") == whole[:4]
