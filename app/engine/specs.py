"""What the sequences of a request share, by what the engine serves."""

from app.decoding.calibration.calibration import SignalCalibration
from app.decoding.core.span import SequenceSpec
from app.engine.text import full_vocabulary_of, vocabulary_of
from app.engine.types import GenerationRequest, Served
from models.corpora.registry import corpus_of


class SequenceSpecs:
    """Makes them. vocabulary, full_vocabulary: the bytes of every id, without and with special tokens."""

    def __init__(
        self, served: Served, context_length: int, calibration: SignalCalibration | None = None
    ) -> None:
        self.vocabulary = vocabulary_of(served)
        self.full_vocabulary = full_vocabulary_of(served)
        self._context_length = context_length
        self._end_token_ids = served.model.spec.end_token_ids
        self._encode = served.tokenizer.encode
        self._calibration = calibration
        self._corpus = corpus_of(served.card)

    def of(self, request: GenerationRequest) -> SequenceSpec:
        """That of a request's sequences."""
        return SequenceSpec(
            prompt_ids=request.prompt_ids,
            sampling=request.sampling,
            stopping=request.stopping,
            context_length=self._context_length,
            end_token_ids=self._end_token_ids,
            vocabulary=self.vocabulary if request.skip_special_tokens else self.full_vocabulary,
            encode=self._encode,
            seed=request.seed,
            calibration=self._calibration,
            corpus=self._corpus,
        )
