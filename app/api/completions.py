"""The answer of /v1/completions, whole or in chunks."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from app.api.answers import Head
from app.api.generation import Collected, Generation, total
from app.api.live import LiveItems
from app.api.prompts import Prompt
from app.api.rendering import (
    Offsets,
    Scored,
    TokenTexts,
    events_out,
    sampling_out,
    scored,
    scored_prompt,
    usage_out,
)
from app.api.schemas.requests import CompletionRequest
from app.api.schemas.responses import Completion, CompletionChoice, CompletionLogprobs, TokenSignals
from app.engine.types import ChoiceDone, LiveOut, PromptScored, RequestDone, TokenOut, Usage


@dataclass(frozen=True)
class CompletionAnswer:
    """Shapes what the engine brings into the answer to `body`."""

    head: Head
    body: CompletionRequest
    prompts: Sequence[Prompt]
    texts: TokenTexts

    def whole(self, collected: Collected) -> Completion:
        """The answer in one piece."""
        choices: list[CompletionChoice] = []
        for written in collected.choices:
            prompt = self.prompts[written.prompt]
            before = self._before(prompt, collected.scored.get(written.prompt))
            tokens = [*before, *scored(written.done.tokens)]
            offsets = Offsets()
            if self.body.echo and not before:
                offsets.advance(prompt.text.encode())
            choices.append(
                CompletionChoice(
                    index=written.prompt * self.body.n + written.index,
                    text=(prompt.text if self.body.echo else "") + written.text,
                    logprobs=self._logprobs(tokens, offsets),
                    finish_reason=written.done.finish_reason,
                    stop_reason=written.done.stop_reason,
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

    async def chunks(self, generation: Generation) -> AsyncIterator[Completion]:
        """The answer as it is written."""
        offsets: dict[int, Offsets] = {}
        usages: list[Usage] = []
        if self.body.echo and not self._scores_prompt:
            for number in range(len(self.prompts)):
                for choice in self._echo(number, None, offsets):
                    yield self._chunk(choice)
        live = LiveItems(self.texts, bool(self.body.signals), bool(self.body.logprobs))
        async for number, item in generation.items():
            match item:
                case LiveOut():
                    told = live.items(item.happenings, number * self.body.n)
                    yield Completion(**self.head.fields(), choices=[], live=told)
                case PromptScored():
                    # As many rows as the prompt has tokens, once per choice.
                    for choice in await asyncio.to_thread(self._echo, number, item, offsets):
                        yield self._chunk(choice)
                case TokenOut():
                    if item.text or self.body.logprobs is not None or self.body.signals:
                        yield self._chunk(self._token(number, item, offsets))
                case ChoiceDone():
                    said, last = sampling_out(self.body.sampling), self._last(number, item)
                    yield Completion(**self.head.fields(), sampling=said, choices=[last])
                case RequestDone():
                    usages.append(item.usage)
        if self.body.include_usage:
            yield Completion(**self.head.fields(), choices=[], usage=usage_out(total(usages)))

    @property
    def _scores_prompt(self) -> bool:
        return scores_prompt(self.body)

    def _before(self, prompt: Prompt, prompt_scored: PromptScored | None) -> list[Scored]:
        return scored_prompt(prompt.token_ids, prompt_scored.tokens) if prompt_scored else []

    def _echo(
        self, number: int, prompt_scored: PromptScored | None, offsets: dict[int, Offsets]
    ) -> list[CompletionChoice]:
        """The prompt as the first piece of each of its choices."""
        prompt = self.prompts[number]
        before = self._before(prompt, prompt_scored)
        choices: list[CompletionChoice] = []
        for index in range(number * self.body.n, (number + 1) * self.body.n):
            counter = offsets.setdefault(index, Offsets())
            logprobs = self._logprobs(before, counter)
            choices.append(
                CompletionChoice(
                    index=index, text=prompt.text, logprobs=logprobs, signals=self._signals(before)
                )
            )
        return choices

    def _token(self, number: int, item: TokenOut, offsets: dict[int, Offsets]) -> CompletionChoice:
        index = number * self.body.n + item.index
        tokens = scored([item.token])
        return CompletionChoice(
            index=index,
            text=item.text,
            logprobs=self._logprobs(tokens, offsets.setdefault(index, Offsets())),
            signals=self._signals(tokens),
        )

    def _last(self, number: int, done: ChoiceDone) -> CompletionChoice:
        return CompletionChoice(
            index=number * self.body.n + done.index,
            text=done.text,
            finish_reason=done.finish_reason,
            stop_reason=done.stop_reason,
            events=events_out(done.events),
        )

    def _chunk(self, choice: CompletionChoice) -> Completion:
        return Completion(**self.head.fields(), choices=[choice])

    def _logprobs(self, tokens: Sequence[Scored], offsets: Offsets) -> CompletionLogprobs | None:
        return None if self.body.logprobs is None else self.texts.completion_logprobs(tokens, offsets)

    def _signals(self, tokens: Sequence[Scored]) -> list[TokenSignals] | None:
        return self.texts.signals(tokens) if self.body.signals else None


def scores_prompt(body: CompletionRequest) -> bool:
    """Whether the prompt's own tokens are asked about: it is echoed, and with more than its text."""
    return body.echo and (body.logprobs is not None or bool(body.signals))
