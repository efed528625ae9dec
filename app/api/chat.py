"""The answer of /v1/chat/completions, whole or in chunks."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from app.api.answers import Head
from app.api.generation import Collected, Generation, total
from app.api.live import LiveItems
from app.api.rendering import TokenTexts, events_out, sampling_out, scored, usage_out
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
from app.decoding.types import Token
from app.engine.types import ChoiceDone, LiveOut, PromptScored, RequestDone, TokenOut, Usage


@dataclass(frozen=True)
class ChatAnswer:
    """Shapes what the engine brings into the answer to `body`."""

    head: Head
    body: ChatRequest
    texts: TokenTexts

    def whole(self, collected: Collected) -> ChatCompletion:
        """The answer in one piece."""
        choices = [
            ChatChoice(
                index=written.index,
                message=AssistantMessage(content=written.text),
                logprobs=self._logprobs(written.done.tokens),
                finish_reason=written.done.finish_reason,
                stop_reason=written.done.stop_reason,
                signals=self._signals(written.done.tokens),
                events=events_out(written.done.events),
            )
            for written in collected.choices
        ]
        return ChatCompletion(
            **self.head.fields(),
            sampling=sampling_out(self.body.sampling),
            choices=choices,
            usage=usage_out(collected.usage),
        )

    async def chunks(self, generation: Generation) -> AsyncIterator[ChatChunk]:
        """The answer as it is written; the first chunk of each choice gives its role."""
        for index in range(self.body.n):
            yield self._chunk(ChatChunkChoice(index=index, delta=Delta(role="assistant", content="")))
        usages: list[Usage] = []
        live = LiveItems(self.texts, bool(self.body.signals), bool(self.body.top_logprobs))
        async for _, item in generation.items():
            match item:
                case LiveOut():
                    yield ChatChunk(**self.head.fields(), choices=[], live=live.items(item.happenings))
                case TokenOut():
                    if item.text or self.body.logprobs or self.body.signals:
                        yield self._chunk(
                            ChatChunkChoice(
                                index=item.index,
                                delta=Delta(content=item.text),
                                logprobs=self._logprobs([item.token]),
                                signals=self._signals([item.token]),
                            )
                        )
                case ChoiceDone():
                    last = ChatChunkChoice(
                        index=item.index,
                        delta=Delta(content=item.text) if item.text else Delta(),
                        finish_reason=item.finish_reason,
                        stop_reason=item.stop_reason,
                        events=events_out(item.events),
                    )
                    said = sampling_out(self.body.sampling)
                    yield ChatChunk(**self.head.fields(), sampling=said, choices=[last])
                case RequestDone():
                    usages.append(item.usage)
                case PromptScored():
                    pass  # never asked for here
        if self.body.include_usage:
            yield ChatChunk(**self.head.fields(), choices=[], usage=usage_out(total(usages)))

    def _chunk(self, choice: ChatChunkChoice) -> ChatChunk:
        return ChatChunk(**self.head.fields(), choices=[choice])

    def _logprobs(self, tokens: Sequence[Token]) -> ChatLogprobs | None:
        return self.texts.chat_logprobs(tokens) if self.body.logprobs else None

    def _signals(self, tokens: Sequence[Token]) -> list[TokenSignals] | None:
        return self.texts.signals(scored(tokens)) if self.body.signals else None
