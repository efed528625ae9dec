"""Decoding written out over fresh prefills of the tiny model, to compare strategies with."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.app.engine.tiny import VOCABULARY, fresh_logprobs

STOP = 46
BIAS = 5.0
PROMPT = (3, 1, 4, 1, 5)


@dataclass(frozen=True)
class Text:
    """A completion and its tokens' raw log-probabilities."""

    ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()

    @property
    def score(self) -> float:
        return sum(self.logprobs) / len(self.logprobs)


def look(text: Text, count: int) -> tuple[float, list[Text]]:
    """The entropy at the next token, and the text with each of the likeliest tokens, full stops favoured."""
    logprobs = fresh_logprobs([*PROMPT, *text.ids])
    entropy = float(-(logprobs.exp() * logprobs).sum())
    favoured = logprobs.clone()
    favoured[STOP] += BIAS
    ids = favoured.topk(count).indices.tolist()
    return entropy, [Text((*text.ids, id_), (*text.logprobs, float(logprobs[id_]))) for id_ in ids]


def greedy(text: Text, length: int) -> Text:
    """The text with the likeliest tokens up to a length."""
    while len(text.ids) < length:
        text = look(text, 1)[1][0]
    return text


def ends_step(text: Text, start: int) -> bool:
    """Whether its last token closes the step that begins at `start`."""
    stops = [VOCABULARY[id_].decode(errors="replace").rstrip(" ").endswith(".") for id_ in text.ids[start:]]
    return stops[-1] and not all(stops[:-1])


def write_step(text: Text, start: int, length: int) -> Text:
    """The text up to the end of its step, greedily."""
    while len(text.ids) < length and not (len(text.ids) > start and ends_step(text, start)):
        text = look(text, 1)[1][0]
    return text


def best(texts: Sequence[Text]) -> Text:
    """The likeliest, per token; of equals the first."""
    return max(texts, key=lambda text: text.score)
