"""The answer of /v1/completions, whole or in chunks."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from app.api.answers import Head
from app.api.generation_streams import Collected, Generation, Item, total
from app.api.live_items import LiveItems
from app.api.offsets import Offsets
from app.api.prompt_reading import Prompt
from app.api.rendering import (
    Scored,
    TokenTexts,
    ending_out,
    events_out,
    sampling_out,
    scored,
    scored_prompt,
    usage_out,
)
from app.api.schemas.requests import CompletionRequest
from app.api.schemas.responses import Completion, CompletionChoice, CompletionLogprobs, TokenSignals
from app.api.text_chunks import TextChunks
from app.engine.types import ChoiceDone, LiveOut, PromptScored, RequestDone, TokenOut, Usage
from models.tokenizer import Tokenizer


@dataclass(frozen=True)
class _Shaper:
    """What the chunks of a stream remember from one to the next."""

    offsets: dict[int, Offsets]
    live: LiveItems
    plain: TextChunks


@dataclass(frozen=True)
class CompletionAnswer:
    """Shapes what the engine brings into the answer to `body`."""

    head: Head
    body: CompletionRequest
    prompts: Sequence[Prompt]
    texts: TokenTexts
    tokenizer: Tokenizer

    def whole(self, collected: Collected) -> Completion:
        """The answer in one piece. What was collected is let go of, choice by choice."""
        choices: list[CompletionChoice] = []
        while collected.choices:
            written = collected.choices.popleft()
            prompt = self.prompts[written.prompt]
            before = self._before(prompt, collected.scored.get(written.prompt))
            after = scored(written.done.tokens, ended=written.done.ended_by_token)
            tokens = [*before, *after]
            places = [*self._prompt_places(prompt, before), *self.texts.places(after, self._offsets(prompt))]
            choices.append(
                CompletionChoice(
                    index=written.prompt * self.body.n + written.index,
                    text=(prompt.text if self.body.echo else "") + written.text,
                    logprobs=self._logprobs(tokens, places),
                    **ending_out(written.done),
                    signals=self._signals(tokens),
                    events=events_out(written.done.events),
                )
            )
        return Completion(
            **self.head.fields(),
            sampling=sampling_out(self.body.sampling),
            choices=choices,
            usage=usage_out(collected.usage),
        )

    async def chunks(self, generation: Generation) -> AsyncIterator[Iterable[Completion | str]]:
        """The answer as it is written, as much at a time as is there."""
        shaper = _Shaper(
            offsets={
                number * self.body.n + index: self._offsets(prompt)
                for number, prompt in enumerate(self.prompts)
                for index in range(self.body.n)
            },
            live=LiveItems(self.texts, bool(self.body.signals), bool(self.body.logprobs)),
            plain=TextChunks("text", lambda index: self._chunk(CompletionChoice(index=index, text=""))),
        )
        usages: list[Usage] = []
        if self.body.echo and not self._scores_prompt:
            for number in range(len(self.prompts)):
                yield map(self._chunk, self._echo(number, None))
        async for number, items in generation.batches():
            for item in items:
                if isinstance(item, PromptScored):
                    # As many rows as the prompt has tokens, once per choice.
                    yield map(self._chunk, await asyncio.to_thread(self._echo, number, item))
            if isinstance(done := items[-1], RequestDone):
                usages.append(done.usage)
            yield (chunk for item in items if (chunk := self._shaped(number, item, shaper)))
        if self.body.include_usage:
            yield [Completion(**self.head.fields(), choices=[], usage=usage_out(total(usages)))]

    def _shaped(self, number: int, item: Item, shaper: "_Shaper") -> Completion | str | None:
        """What is sent of an item of prompt `number`, if anything is."""
        match item:
            case LiveOut():
                told = shaper.live.items(item.happenings, number * self.body.n)
                return Completion(**self.head.fields(), choices=[], live=told)
            case TokenOut() if self.body.logprobs is not None or self.body.signals:
                return self._chunk(self._token(number, item, shaper.offsets))
            case TokenOut():
                return shaper.plain.json(number * self.body.n + item.index, item.text) if item.text else None
            case ChoiceDone():
                said, last = sampling_out(self.body.sampling), self._last(number, item)
                return Completion(**self.head.fields(), sampling=said, choices=[last])
            case PromptScored() | RequestDone():
                return None

    @property
    def _scores_prompt(self) -> bool:
        return scores_prompt(self.body)

    def _before(self, prompt: Prompt, prompt_scored: PromptScored | None) -> list[Scored]:
        return scored_prompt(prompt.token_ids, prompt_scored.tokens) if prompt_scored else []

    def _offsets(self, prompt: Prompt) -> Offsets:
        """Counts from where a completion of the prompt begins."""
        return Offsets(len(prompt.text) if self.body.echo else 0)

    def _prompt_places(self, prompt: Prompt, before: Sequence[Scored]) -> list[int]:
        """Where the tokens of an echoed prompt begin.

        Some tokenizers put a space before a text or write it in another way, so that their tokens do not make
        the text that was given.
        """
        told = "".join(map(self.texts.text, prompt.token_ids))
        if before and told != prompt.text:
            places = self.tokenizer.places(prompt.text, prompt.token_ids)
            if places is not None:
                return places
        return self.texts.places(before, Offsets())

    def _echo(self, number: int, prompt_scored: PromptScored | None) -> list[CompletionChoice]:
        """The prompt as the first piece of each of its choices."""
        prompt = self.prompts[number]
        before = self._before(prompt, prompt_scored)
        logprobs = self._logprobs(before, self._prompt_places(prompt, before))
        return [
            CompletionChoice(index=index, text=prompt.text, logprobs=logprobs, signals=self._signals(before))
            for index in range(number * self.body.n, (number + 1) * self.body.n)
        ]

    def _token(self, number: int, item: TokenOut, offsets: dict[int, Offsets]) -> CompletionChoice:
        index = number * self.body.n + item.index
        tokens = scored([item.token], ended=item.ends)
        return CompletionChoice(
            index=index,
            text=item.text,
            logprobs=self._logprobs(tokens, self.texts.places(tokens, offsets[index])),
            signals=self._signals(tokens),
        )

    def _last(self, number: int, done: ChoiceDone) -> CompletionChoice:
        return CompletionChoice(
            index=number * self.body.n + done.index,
            text=done.text,
            **ending_out(done),
            events=events_out(done.events),
        )

    def _chunk(self, choice: CompletionChoice) -> Completion:
        return Completion(**self.head.fields(), choices=[choice])

    def _logprobs(self, tokens: Sequence[Scored], places: list[int]) -> CompletionLogprobs | None:
        return None if self.body.logprobs is None else self.texts.completion_logprobs(tokens, places)

    def _signals(self, tokens: Sequence[Scored]) -> list[TokenSignals] | None:
        return self.texts.signals(tokens) if self.body.signals else None


def scores_prompt(body: CompletionRequest) -> bool:
    """Whether the prompt's own tokens are asked about: it is echoed, and with more than its text."""
    return body.echo and (body.logprobs is not None or bool(body.signals))
