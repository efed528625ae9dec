"""What is published: made of the numbers and of what was declared, and nothing else."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import app.findings
from app.commands.checkout import last_change
from app.compare.results import Estimate
from app.findings import mistakes, one_way
from app.findings.concluding import conclude, known_dates, publish
from app.findings.criteria import Between
from app.findings.finding import Finding
from app.findings.knowledge import ASKED, WORLDS
from app.findings.published import Fixed, Raw, published_folder, read_published, read_raw
from app.findings.registry import FINDINGS
from app.findings.report import markdown, range_in_words
from models.corpora.bios.biography import forward_question, inverse_question
from models.corpora.bios.bios import Bios, BiosSettings
from models.errors import ArtifactError
from models.files import write_json
from tests.app.findings.test_running import toy

FIXED = Fixed(commit="0" * 40, date="2026-01-01T00:00:00+00:00")


def raw_of(*, size: str = "full", **seeds: float) -> Raw:
    """A raw result of the toy: the number of its first stage by seed, as `s0=0.5`."""
    return Raw.model_validate(
        {
            "name": "toy",
            "size": size,
            "begun": "2026-01-02",
            "seeds": {
                name[1:]: {"first": {"number": value, "processor_seconds": 1800.0}}
                for name, value in seeds.items()
            },
        }
    )


@pytest.fixture
def finding() -> Finding:
    return toy(lambda _name, _seed, _bench: {})


def test_a_quick_run_gives_no_verdict_and_no_numbers(finding: Finding) -> None:
    made = conclude(finding, raw_of(size="quick", s0=0.5, s1=0.5), FIXED)
    assert made.verdict == "undecided"
    assert made.criteria[0].measured is None
    assert made.begun is None


def test_dates_that_were_published_are_known_without_a_history(finding: Finding, tmp_path: Path) -> None:
    assert known_dates(tmp_path, {"toy": finding}) == {}
    publish(tmp_path, {"toy": finding}, {"toy": FIXED})
    assert known_dates(tmp_path, {"toy": finding}) == {"toy": FIXED}
    moved = replace(finding, criteria=(replace(finding.criteria[0], supported=Between(0, 2)),))
    assert known_dates(tmp_path, {"toy": moved}) == {}  # these thresholds are not those of then


def test_what_can_be_asked_live_of_people_is_of_the_world_of_seed_0() -> None:
    corpus = Bios(BiosSettings(people=WORLDS["full"].people, world=0, asked=ASKED))
    forward, inverse = (question.prompt for question in one_way.FINDING.questions)
    person = corpus.people.by_name[forward.split(":")[0]]
    assert not corpus.is_asked(person)
    assert forward == forward_question(person.name, "university")
    assert person.values["university"] in one_way.FINDING.questions[0].note
    assert inverse == inverse_question(person)
    (stranger,) = (each.prompt for each in mistakes.FINDING.questions if each.corpus == "bios")
    assert corpus.parse(stranger)
    assert stranger.split(":")[0] not in corpus.people.by_name


def test_a_number_is_measured_when_two_seeds_have_it(finding: Finding) -> None:
    assert conclude(finding, raw_of(s0=0.5), FIXED).criteria[0].measured is None
    made = conclude(finding, raw_of(s0=0.5, s1=0.75), FIXED)
    assert made.criteria[0].measured == Estimate(value=0.625)  # the toy's numbers have no intervals
    assert made.criteria[0].by_seed == {0: Estimate(value=0.5), 1: Estimate(value=0.75)}
    assert (made.stages_done, made.stages) == (2, 4)
    assert made.processor_seconds == 3600


@pytest.mark.parametrize("file", ["toy.json", "findings.json"])
def test_a_damaged_file_is_told_with_its_name(file: str, tmp_path: Path) -> None:
    write_json(tmp_path / file, {"data": [{"name": 1}], "seeds": 3})
    with pytest.raises(ArtifactError, match=file):
        read_raw(tmp_path, "toy") if file == "toy.json" else read_published(tmp_path)


def test_what_is_published_can_be_read_again_and_is_the_same_each_time(
    finding: Finding, tmp_path: Path
) -> None:
    write_json(tmp_path / "toy.json", raw_of(s0=0.5, s1=0.75).model_dump(mode="json"))
    made = publish(tmp_path, {"toy": finding}, {"toy": FIXED})
    assert read_published(tmp_path) == made
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(before) == {"toy.json", "findings.json", "README.md", "toy.svg"}
    publish(tmp_path, {"toy": finding}, {"toy": FIXED})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    page = before["README.md"].decode()
    for said in ("undecided", "2026-01-01", "0000000", "2 of 4", "0: 0.50, 1: 0.75", "toy.svg"):
        assert said in page


def test_the_published_findings_are_those_of_this_code() -> None:
    """Whoever changes a claim, a threshold or how a number is made must publish anew."""
    folder = published_folder()
    published = {each.name: each for each in read_published(folder).data}
    assert list(published) == list(FINDINGS)
    for name, finding in FINDINGS.items():
        assert conclude(finding, read_raw(folder, name), published[name].fixed) == published[name]
    page = markdown(read_published(folder), {name: read_raw(folder, name) for name in FINDINGS})
    assert (folder / "README.md").read_text(encoding="utf-8") == page


def test_a_finding_is_a_file_of_its_name_with_what_was_fixed() -> None:
    folder = Path(app.findings.__file__ or "").parent
    for name, finding in FINDINGS.items():
        text = (folder / f"{name}.py").read_text(encoding="utf-8")
        assert "\nHYPOTHESIS = (" in text
        assert finding.name == name
        quantities = [each.quantity for each in finding.criteria]
        assert len(set(quantities)) == len(quantities)
        assert any(each.refuted for each in finding.criteria), "nothing could refute it"


def test_thresholds_were_fixed_before_the_first_run() -> None:
    """By what was published, since a copy of the code without its history cannot tell."""
    begun = [each for each in read_published(published_folder()).data if each.begun]
    for each in begun:
        assert each.fixed is not None
        assert each.begun is not None
        assert each.fixed.date < each.begun, each.name


def test_the_last_change_of_a_name_is_that_of_its_lines(tmp_path: Path) -> None:
    """Lines beside it do not count, and those that are not committed have no date."""

    def git(*arguments: str, day: int = 1) -> str:
        who = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        date = {"GIT_COMMITTER_DATE": f"2026-01-0{day}T12:00:00Z"}
        git = ["git", "-C", str(tmp_path), *who, *arguments]
        ran = subprocess.run(git, check=True, capture_output=True, text=True, env={**os.environ, **date})
        return ran.stdout.strip()

    file = tmp_path / "finding.py"
    git("init", "-q")
    assert last_change(_written(file, "HYPOTHESIS = (\n    1,\n)\n"), "HYPOTHESIS") is None
    git("add", ".")
    git("commit", "-qm", "thresholds")
    first = git("rev-parse", "HEAD")
    _written(file, "HYPOTHESIS = (\n    1,\n)\nother = 2\n")
    git("commit", "-qam", "beside it", day=2)
    assert (last_change(file, "HYPOTHESIS") or ("", ""))[0] == first
    _written(file, "HYPOTHESIS = (\n    3,\n)\nother = 2\n")
    assert last_change(file, "HYPOTHESIS") is None
    git("commit", "-qam", "changed", day=3)
    found = last_change(file, "HYPOTHESIS")
    assert found == (git("rev-parse", "HEAD"), "2026-01-03T12:00:00+00:00")
    assert last_change(file, "NOTHING") is None


def _written(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    return file


def test_ranges_are_told_as_they_were_written() -> None:
    ranges = [
        range_in_words(each, percent=True)
        for criterion in conclude(FINDINGS["one_way"], None, None).criteria
        for each in (criterion.supported, *criterion.refuted)
    ]
    assert ranges == ["at least 90.0%", "at least 50.0%", "at most 2.0%", "above 10.0%"]


def test_a_file_of_another_make_is_damaged(tmp_path: Path) -> None:
    for name in ("findings", "toy"):
        write_json(tmp_path / f"{name}.json", {"data": [{"name": "x"}], "name": "toy"})
    with pytest.raises(ArtifactError, match=r"findings\.json is damaged: data\.0\.title"):
        read_published(tmp_path)
    with pytest.raises(ArtifactError, match=r"toy\.json is damaged"):
        read_raw(tmp_path, "toy")
