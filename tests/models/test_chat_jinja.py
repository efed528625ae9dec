"""Templates give the text that transformers' own rendering gives, and are refused what that refuses them. The
chats of whole folders of several families are in test_families.py."""

from importlib.resources import files
from typing import Any

import pytest

from models.chat_template import ChatTemplate, Message, PromptEnd
from models.errors import TemplateError
from models.tokenizer import CHAT_TEMPLATE_FILE

CHATML = (
    "{% for message in messages %}\n    {%- if loop.first and message.role != 'system' %}\n"
    "<|im_start|>system\nBe brief.<|im_end|>\n    {% endif %}\n"
    "<|im_start|>{{ message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}\n"
    "{% endfor %}\n{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SOURCES = {
    "chatml": CHATML,
    "trimmed": "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content | trim }} {% endfor %}",
    "json": "{# content #}{{ messages | tojson }}"
    "{{ [{'b': 1, 'a': eos_token}] | tojson(indent=2, sort_keys=true) }}"
    "{{ '<>\u00e9' | tojson }}",
    "generation": "{% for m in messages %}{% generation %}{% set x = 1 %}{{ m.content }}{% endgeneration %}"
    "{{ x }};\n{% endfor %}",
    "loop controls": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}"
    "{{ loop.index }}{{ m.content }}{% break %}{% endfor %}",
    "namespace": "{% set ns = namespace(first=true, self=2) %}{% for m in messages %}"
    "{% set ns.first = m.role %}{% endfor %}{{ ns.first }}{{ ns.self }}",
    "dict": "{% set d = dict(messages[0], more=1) %}{{ d.more }}{{ dict([('a', 2)]).a }}"
    "{{ dict.fromkeys('ab') | tojson }}",
    "undefined": "{{ tools is none }}{{ documents is none }}{{ thing is defined }}{{ thing }}{{ eos_token }}",
    "whitespace": "  {% if true %}  \n  a\n  {% endif %}  \n{%+ if true %} b{% endif +%}\n"
    "{# c #}\n{{ 'd' }} \n",
    "year": "{{ strftime_now('%Y') }}",
    "refusing": "{{ raise_exception('no ' + messages[0].role) }}",
    "prying": "{{ messages.__class__ }}",
    "prying namespace": "{% set ns = namespace(__class__=1) %}",
    "setting namespace": "{% set ns = namespace() %}{% set ns._x = 1 %}",
    "prying dict": "{{ dict.mro() }}",
    "changing": "{{ messages.pop() }}",
    "long": "{{ 'a' * 3 }}{{ range(100001) | list | length }}",
    "igsm": (files("models.corpora.igsm") / CHAT_TEMPLATE_FILE).read_text(encoding="utf-8"),
}
CHATS = (
    [("user", "How far?")],
    [("system", " Be \u00e9lan. "), ("user", "a\n\nb"), ("assistant", "  c  "), ("user", "<d> & 'e'")],
    [("user", "a"), ("assistant", "12 + ")],
)
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
ENDS: tuple[PromptEnd, ...] = ("new_turn", "last_turn", "open_turn")


def by_transformers(source: str, chat: list[tuple[str, str]], end: PromptEnd) -> str | None:
    """None where it refuses."""
    from transformers.utils.chat_template_utils import render_jinja_template

    special: Any = SPECIAL
    try:
        rendered: Any = render_jinja_template(
            [[{"role": role, "content": text} for role, text in chat]],
            chat_template=source,
            add_generation_prompt=end == "new_turn",
            continue_final_message=end == "open_turn",
            **special,
        )
    except Exception:
        return None
    return rendered[0][0]


def by_us(source: str, chat: list[tuple[str, str]], end: PromptEnd) -> str | None:
    try:
        return ChatTemplate(source, SPECIAL).render([Message(role, (text,)) for role, text in chat], end).text
    except TemplateError:
        return None


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
@pytest.mark.parametrize("end", ENDS)
def test_the_text_is_that_of_transformers(source: str, end: PromptEnd) -> None:
    for chat in CHATS:
        assert by_us(source, chat, end) == by_transformers(source, chat, end)


def test_these_templates_are_of_both_kinds() -> None:
    texts = [by_us(source, CHATS[0], "new_turn") for source in SOURCES.values()]
    assert 5 < texts.count(None) < len(texts) / 2
