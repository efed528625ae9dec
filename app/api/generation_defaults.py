"""What a model's `generation_config.json` recommends, for requests that ask for it."""

from typing import Any, TypeVar

from pydantic import ValidationError

from app.api.schemas.generation import GenerationFields
from app.api.serving import Serving
from app.decoding.sampling.fields import SamplingFields
from app.errors import UnfitError
from app.invalid import first_complaint

Body = TypeVar("Body", bound=GenerationFields)

_RECOMMENDED = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""Those that vLLM takes from the file. `do_sample` is not among them: temperature says it."""


def with_recommended(body: Body, serving: Serving) -> Body:
    """The body with what the model recommends where it says nothing, if it asks for that.

    Raises:
        RequestError: the file recommends what is no such value, or out of range.
    """
    if not body.use_generation_config:
        return body
    stored = serving.checkpoint.generation
    taken = {
        name: stored[name]
        for name in _RECOMMENDED
        if name not in body.model_fields_set and stored.get(name) is not None
    }
    return body.model_copy(update=_checked(taken))


def _checked(taken: dict[str, Any]) -> dict[str, Any]:
    """The values as a request would have them.

    Raises:
        UnfitError: a request could not have one.
    """
    try:
        fields = SamplingFields.model_validate(taken, strict=True)
    except ValidationError as error:
        complaint = first_complaint(error.errors(include_url=False), taken, SamplingFields)
        assert complaint is not None, "what was taken is an object"
        raise UnfitError(
            f"The model's generation_config.json recommends what cannot be used: {complaint.message}. Give "
            f"{complaint.param} in the request, or leave out use_generation_config.",
            param="use_generation_config",
        ) from error
    return {name: getattr(fields, name) for name in taken}
