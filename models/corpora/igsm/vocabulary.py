"""The tokenizer of an igsm corpus: trained on its problems, with every phrase of the corpus as one token."""

from collections.abc import Sequence
from importlib.resources import files
from itertools import chain, islice

from models.chat_template import ChatTemplate
from models.corpora.igsm import text
from models.corpora.igsm.dataset import problems
from models.corpora.igsm.spec import IgsmSpec
from models.tokenizer import CHAT_TEMPLATE_FILE, OWN_SPECIAL_TOKENS, Tokenizer, train

_DOCUMENTS = 5_000
_PHRASES = (text.MORE_THAN, text.HOW_MANY, text.ANSWER)


def igsm_tokenizer(spec: IgsmSpec, more: Sequence[str] = ()) -> Tokenizer:
    """Train the tokenizer, in which `more` phrases are one token each too; the same arguments always give the
    same one."""
    sample = islice(problems(spec, "train", seed=0), _DOCUMENTS)
    documents = (
        "".join(text.problem_phrases(problem) + text.solution_phrases(problem)) for problem in sample
    )
    # The phrases themselves besides, as no document of a small corpus has the rarest of them.
    return train(chain(documents, text.vocabulary(spec), more), _PHRASES, _chat_template())


def _chat_template() -> ChatTemplate:
    """Beside the code, as it is data in a language of its own; checkpoints get a copy."""
    source = (files("models.corpora.igsm") / CHAT_TEMPLATE_FILE).read_text(encoding="utf-8")
    return ChatTemplate(source, OWN_SPECIAL_TOKENS)
