"""What a model's `generation_config.json` recommends, for requests that ask for it."""

from typing import TypeVar

from app.api.schemas.generation import GenerationFields
from app.api.serving import Serving

Body = TypeVar("Body", bound=GenerationFields)

_RECOMMENDED = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""Those that vLLM takes from the file. `do_sample` is not among them: temperature says it."""


def with_recommended(body: Body, serving: Serving) -> Body:
    """The body with what the model recommends where it says nothing, if it asks for that.

    Raises:
        RequestError: the file recommends what is out of range.
    """
    if not body.use_generation_config:
        return body
    stored = serving.checkpoint.generation
    taken = {
        name: stored[name]
        for name in _RECOMMENDED
        if name not in body.model_fields_set and isinstance(stored.get(name), int | float)
    }
    return body.model_copy(update=taken)
