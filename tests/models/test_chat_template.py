"""What is said of messages that a template leaves out or changes, and what it refuses. That token ids are
those of transformers is in test_families.py."""

from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.chat_template import ChatTemplate, Message
from models.errors import ArtifactError, TemplateError
from models.hub_tokenizer import load_tokenizer
from models.tokenizer import CHAT_TEMPLATE_FILE, Tokenizer

IGSM = Path(__file__).parents[2] / "models" / "checkpoints" / "igsm"
SAID = st.text("ab 7\n?", min_size=1, max_size=6)


def user(text: str) -> Message:
    return Message("user", (text,))


@pytest.fixture(scope="module")
def igsm() -> Tokenizer:
    return load_tokenizer(IGSM, is_ours=True)


def test_the_served_checkpoint_has_the_template_of_its_corpus(igsm: Tokenizer, tokenizer: Tokenizer) -> None:
    own = (files("models.corpora.igsm") / CHAT_TEMPLATE_FILE).read_text(encoding="utf-8")
    assert igsm.chat_template == tokenizer.chat_template == ChatTemplate(own, {"eos_token": "<|endoftext|>"})


@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), SAID), max_size=4), SAID)
def test_a_problem_and_a_line_break_are_the_prompt_of_ours(
    igsm: Tokenizer, before: list[tuple[str, str]], problem: str
) -> None:
    """The ids are those that a chat of one message had before there was a template."""
    template = igsm.chat_template
    assert template is not None
    turns = [*(Message(role, (text,)) for role, text in before), user(problem)]
    if not problem.strip():
        with pytest.raises(TemplateError, match="must hold a problem"):
            template.render(turns)
        return
    rendered = template.render(turns)
    assert rendered.text == problem.rstrip() + "\n"
    assert igsm.encode_prompt(rendered.text) == igsm.encode(problem.rstrip() + "\n")
    assert rendered.left_out == tuple(n for n, (_, text) in enumerate(before) if text.strip())
    assert rendered.changed == ()


def test_words_that_stand_in_the_prompt_by_chance_are_no_message_of_it() -> None:
    template = ChatTemplate("user says: {{ messages[-1].content }}")
    rendered = template.render([user("user"), user("says"), user("7 user says")])
    assert (rendered.left_out, rendered.changed) == ((0, 1), ())


def test_a_message_whose_words_are_changed_is_named() -> None:
    template = ChatTemplate("{% for m in messages %}{{ m.content.split('|')[-1] | trim }};{% endfor %}")
    rendered = template.render([user("thought|said"), user(" said ")])
    assert (rendered.text, rendered.left_out, rendered.changed) == ("said;said;", (), (0,))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{{ raise_exception('roles alternate') }}", "roles alternate"),
        ("{{ messages[0].content + 3 }}", "concatenate str"),
        ("{{ messages[0].content.__class__.__mro__ }}", "unsafe"),
        ("{{ messages.append(1) }}", "not safely callable|unsafe"),
        ("{% include 'other' %}", "no loader"),
    ],
)
def test_what_a_template_does_not_take_is_refused_in_its_words(source: str, says: str) -> None:
    with pytest.raises(TemplateError, match=says):
        ChatTemplate(source).render([user("a")])


def test_a_template_that_is_no_jinja_is_refused_with_its_line() -> None:
    with pytest.raises(ArtifactError, match="the chat template is no Jinja: line 2"):
        ChatTemplate("{{ messages }}\n{% for %}").check()


@pytest.mark.parametrize("source", ["{{ raise_exception('never') }}", "{{ messages[3].content + 1 }}"])
def test_a_template_that_does_not_take_a_trial_is_read_all_the_same(source: str) -> None:
    ChatTemplate(source).check()


PARTS = "{% for m in messages %}{% for part in m.content %}<{{ part.text }}>{% endfor %}{% endfor %}"
BOTH = (
    "{% for m in messages %}{% if m.content is string %}<{{ m.content }}>{% else %}"
    "{% for part in m.content %}<{{ part.text }}>{% endfor %}{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("source", "one", "two"),
    [
        (PARTS, "<a>", "<a><b>"),
        (BOTH, "<a>", "<a><b>"),
        ("<{{ messages[0].content }}>", "<a>", "<ab>"),
    ],
)
def test_content_is_given_in_the_form_that_the_template_reads(source: str, one: str, two: str) -> None:
    assert ChatTemplate(source).render([user("a")]).text == one
    assert ChatTemplate(source).render([Message("user", ("a", "b"))]).text == two


@pytest.mark.parametrize(
    ("source", "role"),
    [("{{ messages[0].role }}", "system"), ("{# developer #}{{ messages[0].role }}", "developer")],
)
def test_a_developer_is_a_system_to_a_template_that_does_not_know_him(source: str, role: str) -> None:
    assert ChatTemplate(source).render([Message("developer", ("a",))]).text == role
