"""People, their texts, and verdicts on these against a reader that looks for words anywhere in a sentence."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import product
from math import comb, log2
from random import Random
from typing import Any, get_args

import pytest

from models.corpora.bios import values
from models.corpora.bios.biography import Form, NamePlace, Order, biography, phrases_of
from models.corpora.bios.bios import Bios, BiosSettings
from models.corpora.bios.people import People
from models.corpora.bios.reading import judge_biography
from models.corpora.bios.sentences import BY_PREDICATE, PREDICATES, SHORT
from models.corpora.bios.values import ATTRIBUTES, VALUES, Attribute
from models.corpora.corpus import Report, judge
from models.corpora.drawing import draw_set
from models.corpora.splits import split_of_template
from models.errors import SpecError

BIOS = Bios(BiosSettings(people=1000))
PEOPLE = BIOS.people
FACTS = {person.name: {*person.values.values()} for person in PEOPLE.everybody}
KIND_OF: Mapping[str, Attribute] = {value: each for each in ATTRIBUTES for value in VALUES[each]}
LISTS = (values.FIRST_NAMES, values.MIDDLE_NAMES, values.LAST_NAMES)
Change = Callable[[list[str], Random], tuple[int, str]]


def read_by_words(text: str) -> list[tuple[str | None, str]]:
    """Attribute and verdict of every sentence."""
    about, told, found = "", list[str](), list[tuple[str | None, str]]()
    sentences = [part.strip() for part in re.split("[.;]", text) if part.strip()]
    owners = [name_in(sentence) for sentence in sentences]
    about = next(filter(None, owners), "")
    for sentence, owner in zip(sentences, owners, strict=True):
        subject = rf"(This person|{re.escape(owner)}:?) " if owner else "This person "
        rest = re.sub(f"^{subject}", "", sentence)
        date = re.search(r"[A-Z]\w+ \d+, \d+$", rest)
        value = date[0] if date else rest.split(" ")[-1]
        predicate = rest[: -len(value) - 1]
        compact = f"{owner}:" in sentence or rest == sentence
        attribute = (SHORT if compact else BY_PREDICATE).get(predicate)
        if owner and sentence == f"This is {owner}":
            attribute = None
        elif attribute is None or value not in KIND_OF:
            found.append((None, "syntax"))
            continue
        owner = owner or about
        if owner not in FACTS:
            verdict = "nobody"
        elif owner != about:
            verdict = "somebody_else"
        elif attribute in told:
            verdict = "repeated"
        elif attribute and KIND_OF[value] != attribute:
            verdict = "attribute"
        else:
            verdict = "correct" if attribute is None or value in FACTS[owner] else "wrong"
        if attribute and verdict not in ("nobody", "somebody_else"):
            told.append(attribute)
        found.append((attribute or "name", verdict))
    return found


def name_in(sentence: str) -> str:
    words = re.findall(r"\w+", sentence)
    for three in zip(words, words[1:], words[2:], strict=False):
        if all(word in names for word, names in zip(three, LISTS, strict=True)):
            return " ".join(three)
    return ""


def other_value(attribute: Attribute, but: str, random: Random) -> str:
    while (value := random.choice(VALUES[attribute])) == but:
        pass
    return value


def told_value(sentence: str) -> str:
    date = re.search(r"[A-Z]\w+ \d+, \d+", sentence)
    return date[0] if date else re.findall(r"\w+", sentence)[-1]


def wrong_value(sentences: list[str], random: Random) -> tuple[int, str]:
    place = random.randrange(len(sentences))
    before = told_value(sentences[place])
    sentences[place] = sentences[place].replace(before, other_value(KIND_OF[before], before, random))
    return place, "wrong"


def value_of_another_attribute(sentences: list[str], random: Random) -> tuple[int, str]:
    place = random.randrange(len(sentences))
    before = told_value(sentences[place])
    kinds: list[Attribute] = [each for each in ATTRIBUTES if each != KIND_OF[before]]
    sentences[place] = sentences[place].replace(before, random.choice(VALUES[random.choice(kinds)]))
    return place, "attribute"


def another_person(sentences: list[str], random: Random) -> tuple[int, str]:
    place = random.randrange(1, len(sentences))
    name = name_in(sentences[0])
    other = random.choice([each.name for each in PEOPLE.everybody if each.name != name])
    sentences[place] = sentences[place].replace(name, other)
    return place, "somebody_else"


def a_stranger(sentences: list[str], random: Random) -> tuple[int, str]:
    place = random.randrange(1, len(sentences))
    sentences[place] = sentences[place].replace(name_in(sentences[0]), PEOPLE.stranger(random))
    return place, "nobody"


def said_twice(sentences: list[str], random: Random) -> tuple[int, str]:
    place = random.randrange(1, len(sentences))
    sentences.insert(place, sentences[random.randrange(place)])
    return place, "repeated"


def garbled(sentences: list[str], random: Random) -> tuple[int, str]:
    place = random.randrange(len(sentences))
    words = sentences[place].split(" ")
    del words[random.randrange(len(words))]
    sentences[place] = " ".join(words) + ("" if words[-1].endswith(".") else ".")
    return place, "syntax"


CHANGES: tuple[Change, ...] = (
    wrong_value, value_of_another_attribute, another_person, a_stranger, said_twice, garbled,
)  # fmt: skip


def drawn_text(random: Random, form: Form, name_place: NamePlace) -> str:
    order: Order = random.choice(get_args(Order))
    return biography(random.choice(PEOPLE.everybody), random.randrange(5), form, order, name_place)


@pytest.mark.parametrize("texts", [600, pytest.param(5000, marks=pytest.mark.slow)])
def test_a_reader_by_words_agrees_and_every_change_is_named(texts: int) -> None:
    random = Random(0)
    named: Counter[str] = Counter()
    for index in range(texts):
        if index % 2:
            form, place = random.choice([*product(("multi5", "compact"), get_args(NamePlace))])
            text = drawn_text(random, form, place)
            changed, expected = 0, None
        else:
            sentences = [f"{each}." for each in drawn_text(random, "multi5", "every")[:-1].split(". ")]
            changed, expected = CHANGES[index // 2 % len(CHANGES)](sentences, random)
            text = " ".join(sentences)
        reports = judge_biography(PEOPLE, text)
        assert [(report.subject, report.verdict) for report in reports] == read_by_words(text), text
        verdicts = [report.verdict for report in reports]
        if expected is None:
            assert set(verdicts) == {"correct"}
        else:
            assert verdicts[changed] == expected, text
            assert all(report.detail for report in reports if report.verdict != "correct")
            named[expected] += 1
    assert min(named[verdict] for verdict in BIOS.verdicts if verdict != "correct") >= texts // 12


def test_a_reversed_or_first_named_biography_of_nobody_is_nobodys() -> None:
    random = Random(1)
    for place in ("first", "last"):
        text = drawn_text(random, "multi5", place)
        text = text.replace(name_in(text), PEOPLE.stranger(random))
        assert {report.verdict for report in judge_biography(PEOPLE, text)} == {"nobody"}


def answered(problem: str, answer: str) -> Report:
    return judge(BIOS, problem, f"Answer: {answer}")


def test_every_kind_of_answer_is_named() -> None:
    random = Random(2)
    for person in PEOPLE.everybody[:10]:
        for attribute in ATTRIBUTES:
            problem, right = f"{person.name}: {attribute}?", person.values[attribute]
            assert answered(problem, right).correct
            assert answered(problem, f"{right}. And more").steps[-1].verdict == "syntax"
            assert verdict(problem, other_value(attribute, right, random)) == "wrong"
            others: list[Attribute] = [each for each in ATTRIBUTES if each != attribute]
            assert verdict(problem, person.values[random.choice(others)]) == "attribute"
            assert verdict(problem, "the moon") == "syntax"
            assert verdict(f"{PEOPLE.stranger(random)}: {attribute}?", right) == "nobody"
        asked = f"Who: {'; '.join(person.values[attribute] for attribute in ATTRIBUTES)}?"
        assert answered(asked, person.name).correct
        assert verdict(asked, PEOPLE.everybody[-1].name) == "somebody_else"
        assert verdict(asked, PEOPLE.stranger(random)) == "nobody"
        assert verdict(asked, person.values["field"]) == "attribute"


def verdict(problem: str, answer: str) -> str:
    report = answered(problem, answer)
    assert not report.correct
    return report.steps[-1].verdict


def test_sentences_before_the_answer_are_judged() -> None:
    person, other = PEOPLE.everybody[:2]
    mine, theirs = person.values["field"], other.values["employer"]
    told = f"{person.name} majored in {mine}. {other.name} works for {theirs}."
    report = judge(BIOS, f"{person.name}: field?", f"{told} Answer: {mine}")
    assert [step.verdict for step in report.steps] == ["correct", "somebody_else", "correct"]
    assert report.answer_correct
    assert not report.correct
    assert [told[step.start : step.end] for step in report.steps[:2]] == [
        f"{sentence}." for sentence in told[:-1].split(". ")
    ]


def test_information_is_the_logarithm_of_the_number_of_worlds() -> None:
    people = People(500, 0)
    worlds = comb(values.NAMES, 500) * (12 * 28 * 64 * 64 * 64 * 32 * 64) ** 500
    assert people.information.total == pytest.approx(log2(worlds), rel=1e-9)
    assert people.information.values == pytest.approx(500 * 37.392317, abs=0.01)


def test_people_are_distinct_reproducible_and_of_every_value() -> None:
    people = People(5000, 3)
    assert len(people.by_name) == 5000
    assert people.everybody == People(5000, 3).everybody != People(5000, 4).everybody
    for attribute in ATTRIBUTES[1:]:
        counts = Counter(person.values[attribute] for person in people.everybody)
        assert set(counts) == set(VALUES[attribute])
    assert people.stranger(Random(0)) not in people.by_name


def test_lists_are_distinct_and_one_token_each() -> None:
    words = [
        word
        for each in (*LISTS, values.CITIES, values.UNIVERSITIES, values.FIELDS, values.EMPLOYERS)
        for word in each
    ]
    assert len(words) == len(set(words))
    assert len(BY_PREDICATE) == sum(map(len, PREDICATES.values()))
    assert min(map(len, PREDICATES.values())) >= 20
    tokenizer = BIOS.make_tokenizer()
    for word in words:
        assert len(tokenizer.encode(f" {word}")) == 1


@pytest.mark.parametrize("form", get_args(Form))
@pytest.mark.parametrize("name_place", get_args(NamePlace))
def test_every_phrase_of_a_biography_is_one_token(form: Form, name_place: NamePlace) -> None:
    tokenizer = BIOS.make_tokenizer()
    random = Random(5)
    for _ in range(60):
        text = drawn_text(random, form, name_place)
        phrases = phrases_of(text)
        assert "".join(phrases) == text
        assert [len(tokenizer.encode(phrase)) for phrase in phrases] == [1] * len(phrases)
        assert tokenizer.encode(text) == [tokenizer.phrase_id(phrase) for phrase in phrases]
        if form == "compact":
            assert len(phrases) + 1 == 23


def test_forms_are_what_they_are_called() -> None:
    person = PEOPLE.everybody[7]
    fixed = {biography(person, variant, "multi5", "fixed", "first") for variant in range(5)}
    permuted = {biography(person, variant, "multi5", "permuted", "first") for variant in range(5)}
    assert len(fixed) == len(permuted) == 5
    orders = [[step.subject for step in judge_biography(PEOPLE, text)] for text in fixed]
    assert all(order == list(ATTRIBUTES) for order in orders)
    assert len({tuple(str(step.subject) for step in judge_biography(PEOPLE, text)) for text in permuted}) > 1
    assert biography(person, 0, "multi5", "fixed", "every").count(person.name) == 5
    assert biography(person, 0, "multi5", "fixed", "last").endswith(f"This is {person.name}.")
    assert biography(person, 0, "multi5", "fixed", "first").count(person.name) == 1


def test_training_texts_are_biographies_of_all_and_questions_about_people_of_the_split() -> None:
    corpus = Bios(BiosSettings(people=200, questions=0.5, form="single"))
    drawn = draw_set(corpus, "train", 1, 3000, seed=0)
    questions = [problem for problem in drawn if problem.answer]
    assert len(questions) == pytest.approx(1500, abs=150)
    told = {
        name_in("".join((*problem.problem_phrases, *problem.solution_phrases)))
        for problem in drawn
        if not problem.answer
    }
    assert told == set(corpus.people.by_name)
    asked = {problem.template for problem in questions}
    tested = {problem.template for problem in draw_set(corpus, "test", 1, 500, seed=0)}
    assert asked | tested <= told
    assert not asked & tested
    assert all(not problem.answer for problem in draw_set(Bios(BiosSettings(questions=0)), "train", 1, 50, 0))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"people": 10}, "people is 10; it must be between 100 and"),
        ({"questions": 1.5}, "questions is 1.5"),
        ({"form": "long"}, "form is 'long'"),
    ],
)
def test_settings_outside_their_range_are_refused(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(SpecError, match=named):
        BiosSettings(**settings)


def test_training_asks_about_no_more_people_than_it_may() -> None:
    half = Bios(BIOS.settings.model_copy(update={"asked": 0.5, "questions": 1.0}))
    random = Random(0)
    asked = {half.draw(random, "train", 1).template for _ in range(6000)}
    may = {person.name for person in PEOPLE.everybody if half.is_asked(person)}
    assert asked <= may
    assert len(may - asked) < 20
    assert 400 < len(may) < 600
    tested = {half.draw(random, split, 1).template for split in ("validation", "test") for _ in range(500)}
    assert not tested & may
    # By default it may ask about all of its split.
    assert all(
        BIOS.is_asked(person) == (split_of_template(person.name) == "train") for person in PEOPLE.everybody
    )


def test_a_biography_that_is_drawn_again_is_the_same_text() -> None:
    drawn: dict[str, set[str]] = {}
    random = Random(1)
    corpus = Bios(BiosSettings(people=100, form="multi5", questions=0))
    for _ in range(1500):
        text = corpus.draw(random, "train", 1)
        whole = text.prompt + "".join(text.solution_phrases)
        drawn.setdefault(" ".join(whole.split(" ")[:3]), set()).add(whole)
    expected = {
        person.name: {biography(person, variant, "multi5", "permuted", "first") for variant in range(5)}
        for person in corpus.people.everybody
    }
    assert all(texts <= expected[name] for name, texts in drawn.items())
    assert sum(map(len, drawn.values())) > 450
