"""The answer of /v1/chat/completions, whole or in chunks."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

from app.api.answers import Head
from app.api.generation_streams import Collected, Generation, Item, total
from app.api.live_items import LiveItems
from app.api.rendering import Scored, TokenTexts, ending_out, events_out, sampling_out, scored, usage_out
from app.api.schemas.requests import ChatRequest
from app.api.schemas.responses import (
    AssistantMessage,
    ChatChoice,
    ChatChunk,
    ChatChunkChoice,
    ChatCompletion,
    ChatLogprobs,
    Delta,
    TokenSignals,
)
from app.api.text_chunks import TextChunks
from app.engine.types import ChoiceDone, LiveOut, PromptScored, RequestDone, TokenOut, Usage


@dataclass(frozen=True)
class ChatAnswer:
    """Shapes what the engine brings into the answer to `body`."""

    head: Head
    body: ChatRequest
    texts: TokenTexts

    def whole(self, collected: Collected) -> ChatCompletion:
        """The answer in one piece. What was collected is let go of, choice by choice."""
        choices: list[ChatChoice] = []
        while collected.choices:
            written = collected.choices.popleft()
            tokens = scored(written.done.tokens, ended=written.done.ended_by_token)
            choices.append(
                ChatChoice(
                    index=written.index,
                    message=AssistantMessage(content=written.text),
                    logprobs=self._logprobs(tokens),
                    **ending_out(written.done),
                    signals=self._signals(tokens),
                    events=events_out(written.done.events),
                )
            )
        return ChatCompletion(
            **self.head.fields(),
            sampling=sampling_out(self.body.sampling),
            choices=choices,
            usage=usage_out(collected.usage),
        )

    async def chunks(self, generation: Generation) -> AsyncIterator[Iterable[ChatChunk | str]]:
        """The answer as it is written; the first chunk of each choice gives its role."""
        yield [
            self._chunk(ChatChunkChoice(index=index, delta=Delta(role="assistant", content="")))
            for index in range(self.body.n)
        ]
        live = LiveItems(self.texts, bool(self.body.signals), bool(self.body.top_logprobs))
        plain = TextChunks(
            "content", lambda index: self._chunk(ChatChunkChoice(index=index, delta=Delta(content="")))
        )
        usages: list[Usage] = []
        async for _, items in generation.batches():
            if isinstance(done := items[-1], RequestDone):
                usages.append(done.usage)
            yield (chunk for item in items if (chunk := self._shaped(item, live, plain)))
        if self.body.include_usage:
            yield [ChatChunk(**self.head.fields(), choices=[], usage=usage_out(total(usages)))]

    def _shaped(self, item: Item, live: LiveItems, plain: TextChunks) -> ChatChunk | str | None:
        """What is sent of an item, if anything is."""
        match item:
            case LiveOut():
                return ChatChunk(**self.head.fields(), choices=[], live=live.items(item.happenings))
            case TokenOut() if self.body.logprobs or self.body.signals:
                tokens = scored([item.token], ended=item.ends)
                return self._chunk(
                    ChatChunkChoice(
                        index=item.index,
                        delta=Delta(content=item.text),
                        logprobs=self._logprobs(tokens),
                        signals=self._signals(tokens),
                    )
                )
            case TokenOut():
                return plain.json(item.index, item.text) if item.text else None
            case ChoiceDone():
                last = ChatChunkChoice(
                    index=item.index,
                    delta=Delta(content=item.text) if item.text else Delta(),
                    **ending_out(item),
                    events=events_out(item.events),
                )
                said = sampling_out(self.body.sampling)
                return ChatChunk(**self.head.fields(), sampling=said, choices=[last])
            case RequestDone() | PromptScored():
                return None  # the prompt's scores are never asked for here

    def _chunk(self, choice: ChatChunkChoice) -> ChatChunk:
        return ChatChunk(**self.head.fields(), choices=[choice])

    def _logprobs(self, tokens: Sequence[Scored]) -> ChatLogprobs | None:
        return self.texts.chat_logprobs(tokens) if self.body.logprobs else None

    def _signals(self, tokens: Sequence[Scored]) -> list[TokenSignals] | None:
        return self.texts.signals(tokens) if self.body.signals else None
