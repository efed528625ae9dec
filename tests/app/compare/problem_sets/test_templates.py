"""Prompts from templates, examples and chats."""

import pytest

from app.compare.problem_sets.problem import Problem
from app.compare.problem_sets.templates import TextTemplate, TurnsTemplate
from app.compare.problems import problem_set_of
from app.compare.prompts import Prompts
from app.errors import ParameterError
from models.chat_template import Message
from models.checkpoint import LoadedCheckpoint
from tests.app.compare.running import GREEDY, given, make_spec


def problem(prompt: str, answer: str | None = None, **fields: str) -> Problem:
    return Problem(prompt, None, prompt, answer, 0, {"prompt": prompt, **fields})


def test_a_text_has_its_examples_before_it() -> None:
    template = TextTemplate(question="Q: {prompt}\nA:", answer=" {answer}", separator="\n---\n")
    shown = [problem("1 + 1", "2"), problem("2 + 2", "4")]
    expected = "Q: 1 + 1\nA: 2\n---\nQ: 2 + 2\nA: 4\n---\nQ: 3 + 3\nA:"
    assert template.render(problem("3 + 3"), shown, "t") == expected


def test_a_chat_has_a_turn_of_each_side_for_an_example() -> None:
    template = TurnsTemplate(form="chat", system="Be brief.")
    messages = template.messages(problem("3 + 3"), [problem("1 + 1", "2")], "t")
    assert messages == [
        Message("system", ("Be brief.",)),
        Message("user", ("1 + 1",)),
        Message("assistant", ("2",)),
        Message("user", ("3 + 3",)),
    ]


def test_fields_stand_in_braces_and_braces_twice() -> None:
    template = TextTemplate(question="{{{context}}} {prompt} {not a name} {{prompt}}")
    asked = problem("{answer}", context="{prompt}")
    assert template.render(asked, (), "t") == "{{prompt}} {answer} {not a name} {prompt}"


def test_a_field_that_is_not_there_is_named() -> None:
    with pytest.raises(ParameterError, match=r"names \{context\}.*it has answer, prompt") as caught:
        TextTemplate(question="{context}").render(problem("a"), (), "problems.template")
    assert (caught.value.param, caught.value.code) == ("problems.template.question", "unknown_name")


def test_an_arm_may_have_its_own_template(checkpoint: LoadedCheckpoint) -> None:
    own = {**GREEDY, "name": "own", "template": {"form": "text", "question": "Boats are {prompt}."}}
    chat = {**GREEDY, "name": "chat", "template": {"form": "chat"}}
    items = [{"prompt": "1", "answer": "2"}, {"prompt": "3", "answer": "4"}]
    spec = make_spec(GREEDY, own, chat, **given(items, examples=1))
    problem_set = problem_set_of(spec, checkpoint)
    prompts = Prompts(spec, checkpoint.tokenizer, problem_set.examples())
    [asked] = [prompts.written(each) for each in problem_set.draw()]
    assert asked.prompt == "1 2\n\n3"
    encode = checkpoint.tokenizer.encode_prompt
    assert prompts.ids(asked) == prompts.ids(asked, spec.arms[0]) == tuple(encode("1 2\n\n3"))
    assert prompts.ids(asked, spec.arms[1]) == tuple(encode("Boats are 1. 2\n\nBoats are 3."))
    template = checkpoint.tokenizer.chat_template
    assert template is not None
    rendered = template.render(
        [Message("user", ("1",)), Message("assistant", ("2",)), Message("user", ("3",))]
    )
    assert prompts.ids(asked, spec.arms[2]) == tuple(encode(rendered.text, add_special_tokens=False))
