"""The corpora by name, and the one that a checkpoint's card names. A new corpus is a function here."""

from collections.abc import Callable, Mapping
from typing import Any

from models.corpora.corpus import Corpus
from models.errors import ArtifactError, SpecError

DEFAULT = "igsm"


def _igsm(settings: Mapping[str, Any]) -> Corpus:
    from models.corpora.igsm.igsm import Igsm
    from models.corpora.igsm.spec import IgsmSpec

    return Igsm(IgsmSpec(**settings))


def _sums(settings: Mapping[str, Any]) -> Corpus:
    from models.corpora.sums.sums import Sums, SumsSettings

    return Sums(SumsSettings(**settings))


def _decoys(settings: Mapping[str, Any]) -> Corpus:
    from models.corpora.decoys.decoys import Decoys, DecoysSettings

    return Decoys(DecoysSettings(**settings))


def _bios(settings: Mapping[str, Any]) -> Corpus:
    from models.corpora.bios.bios import Bios, BiosSettings

    return Bios(BiosSettings(**settings))


def _retry(settings: Mapping[str, Any]) -> Corpus:
    from models.corpora.retry.retry import Retry, RetrySettings

    return Retry(RetrySettings(**settings))


CORPORA: Mapping[str, Callable[[Mapping[str, Any]], Corpus]] = {
    "igsm": _igsm,
    "sums": _sums,
    "decoys": _decoys,
    "bios": _bios,
    "retry": _retry,
}


def corpus_named(name: str = DEFAULT, settings: Mapping[str, Any] | None = None) -> Corpus:
    """The corpus of that name; settings that are not given are its usual ones.

    Raises:
        SpecError: there is no such corpus, or a setting is wrong.
    """
    if name not in CORPORA:
        raise SpecError(f"there is no corpus {name!r}; choose one of {', '.join(CORPORA)}")
    return CORPORA[name](settings or {})


def corpus_of(card: Mapping[str, Any]) -> Corpus | None:
    """The corpus that a checkpoint's card names; None if it names none that is known here.

    Raises:
        ArtifactError: the card's settings are not the corpus's.
    """
    match card.get("corpus"):
        case {"name": str(name), **settings} if name in CORPORA:
            try:
                return corpus_named(name, {str(key): value for key, value in settings.items()})
            except SpecError as error:
                raise ArtifactError(f"the card's corpus {name!r} is wrong: {error}") from error
        case _:
            return None


def why_none(card: Mapping[str, Any]) -> str:
    """How a sentence goes on that begins with a card of which `corpus_of` is None."""
    match card.get("corpus"):
        case {"name": str(name)}:
            return f"names the corpus {name!r}, which is not known here; known are {', '.join(CORPORA)}"
        case _:
            return f"names no {' corpus, no '.join(CORPORA)} corpus"


def card_of(corpus: Corpus) -> dict[str, Any]:
    """How a checkpoint's card names a corpus."""
    return {"name": corpus.name, **corpus.settings.model_dump(mode="json")}
