"""The corpus of a checkpoint, where a command cannot do without one, and one that options describe."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from models.checkpoint import LoadedCheckpoint
    from models.corpora.corpus import Corpus

CorpusOption = Annotated[str, typer.Option("--corpus", help="Which corpus; docs/corpora.md lists them.")]
SettingOption = Annotated[
    list[str] | None,
    typer.Option(
        "--setting", metavar="NAME=VALUE", help="Any setting of the corpus, as its card has it. Repeatable."
    ),
]


def require_corpus(loaded: "LoadedCheckpoint", consequence: str) -> "Corpus":
    """The corpus that a checkpoint's card names.

    Args:
        consequence: ends the message: what cannot be done with a model of another corpus, and what can.

    Raises:
        ArtifactError: the card names no corpus that is known.
    """
    from models.corpora.registry import corpus_of, why_none
    from models.errors import ArtifactError

    corpus = corpus_of(loaded.card)
    if corpus is None:
        raise ArtifactError(
            f"the card of {loaded.path} {why_none(loaded.card)}; only a model trained by `demur pretrain` "
            f"{consequence}"
        )
    return corpus


def corpus_of_options(name: str, given: Sequence[str] | None, **options: Any) -> "Corpus":
    """The corpus of that name.

    Args:
        given: settings as `NAME=VALUE`.
        options: settings that have an option of their own; None where it is not given.

    Raises:
        SpecError: there is no such corpus or setting, or a value is wrong.
    """
    from models.corpora.registry import corpus_named
    from models.errors import SpecError

    settings = {name: value for name, value in options.items() if value is not None}
    for entry in given or ():
        key, equals, value = entry.partition("=")
        if not equals:
            raise SpecError(f"--setting is {entry!r}; write NAME=VALUE, such as modulus=7")
        settings[key] = value
    return corpus_named(name, settings)
