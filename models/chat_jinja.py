"""The Jinja of chat templates, as transformers has it: the same settings, helpers and limits.

transformers renders them itself, but takes seconds to import, which a server of our own networks need not
wait for. `tests/models/test_chat_jinja.py` compares the two.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace


@lru_cache(maxsize=32)
def compiled(source: str) -> Callable[..., str]:
    """What renders a template, given the names that it may use.

    Raises:
        jinja2.TemplateSyntaxError: it is no Jinja.
    """
    return _environment().from_string(source).render


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationTag, loopcontrols]
    )
    made.filters["tojson"] = to_json
    made.globals |= {
        "raise_exception": raise_exception,
        "strftime_now": strftime_now,
        "dict": NewDict(),
        "namespace": PlainNamespace,
    }
    return made


class GenerationTag(Extension):
    """`{% generation %}` marks what the assistant says, for training; a prompt has it as it is."""

    tags = {"generation"}  # noqa: RUF012 (Jinja's own)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body takes the place of the tag."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return [nodes.Scope(body).set_lineno(line)]


def to_json(
    value: object,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """JSON without the escapes for HTML that Jinja's own filter makes."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def raise_exception(message: str) -> NoReturn:
    """How a template refuses a chat."""
    raise TemplateError(message)


def strftime_now(form: str) -> str:
    """The time of the machine."""
    return datetime.now().strftime(form)


class NewDict:
    """Makes dictionaries, and has nothing else of Python's class of that name."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        """One with these keys."""
        return dict.fromkeys(*args)


class PlainNamespace(Namespace):
    """Jinja's namespace, but for names that begin with an underscore, by which one gets at Python."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # a name given may be `self`
        self, *pairs = args
        given: Mapping[str, Any] = dict(*pairs, **kwargs)
        for name in given:
            _check_name(name)
        Namespace.__init__(self, given)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        super().__setitem__(name, value)


def _check_name(name: object) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace of a chat template has no {name!r}; give it another name")
