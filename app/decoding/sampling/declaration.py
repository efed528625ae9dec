"""What a sampler is declared with: its fields, and what it does to logits.

A sampler is a frozen dataclass of its fields under the decorator `sampler`. All of them are listed in
`app.decoding.sampling.samplers`; docs/samplers-howto.md adds one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from torch import Tensor

from app.decoding.sampling.history import History
from app.decoding.sampling.setting import Setting, settings_of
from app.errors import ConflictError

Kind = Literal["history", "shape", "feedback"]
"""What a sampler looks at; in this order they are applied."""

_DECLARATION = "_declaration"

_Fields = TypeVar("_Fields")


def _always(_params: Any) -> bool:
    return True


@dataclass(frozen=True)
class HistoryStep:
    """Changes the model's own logits by what was written.

    apply: of logits (R, V), the rows' parameters and their histories, logits.
    """

    kind: ClassVar[Kind] = "history"
    apply: Callable[[Tensor, Sequence[Any], Sequence[History]], Tensor]
    when: Callable[[Any], bool] = _always


@dataclass(frozen=True)
class ShapeStep:
    """Changes a distribution by nothing but itself.

    apply: of logits (R, V) and one value per row (R,) of each field that it `reads`, logits. Whole numbers
        are int64, others float32.
    reads: None are all fields, in order.
    when: whether it is what the sampler does with these parameters.
    tosses: it takes the row's coin (R,) besides, float64 in [0, 1); a row has one, whatever tosses it.
    """

    kind: ClassVar[Kind] = "shape"
    apply: Callable[..., Tensor]
    reads: tuple[str, ...] | None = None
    when: Callable[[Any], bool] = _always
    tosses: bool = False


@dataclass(frozen=True)
class FeedbackStep:
    """Changes a distribution by the tokens that were drawn from it, of which it remembers one number.

    A text has one such sampler at most.

    apply: of logits (R, V) and each row's aim (R,) float64, logits.
    begin: what is remembered at the beginning of a text, given the parameters.
    aim: of the parameters and what is remembered.
    learn: what is remembered after a token, of the parameters, what was remembered, and the token's
        log-probability in nats: after this step, or before it where `learns_from` says so.
    """

    kind: ClassVar[Kind] = "feedback"
    apply: Callable[[Tensor, Tensor], Tensor]
    begin: Callable[[Any], float]
    learn: Callable[[Any, float, float], float]
    aim: Callable[[Any, float], float] = lambda _params, remembered: remembered
    when: Callable[[Any], bool] = _always
    learns_from: Literal["before", "after"] = "after"


Step = HistoryStep | ShapeStep | FeedbackStep


@dataclass(frozen=True)
class Declaration:
    """A sampler.

    name: in `samplers`.
    steps: what it does, all of one kind.
    place: in the default order, among those of its kind: the lower, the earlier.
    source: where it comes from.
    about: what it does.
    fields: by name, in the order of a request.
    switches: those of them that turn it on by leaving their defaults.
    check: raises `ParameterError` where fields that are allowed one by one do not go together.
    """

    name: str
    steps: Sequence[Step]
    place: int
    source: str
    about: str
    fields: Mapping[str, Setting]
    switches: tuple[str, ...]
    check: Callable[[Any], None] | None

    @property
    def kind(self) -> Kind:
        return self.steps[0].kind

    @property
    def settings(self) -> tuple[str, ...]:
        """Its fields that are no switches."""
        return tuple(name for name in self.fields if name not in self.switches)


def sampler(
    name: str,
    *steps: Step,
    place: int,
    source: str,
    switches: tuple[str, ...] = (),
    check: Callable[[Any], None] | None = None,
) -> Callable[[type[_Fields]], type[_Fields]]:
    """Declares a sampler whose fields are those of the dataclass below; its docstring says what it does.

    Args are those of `Declaration`. The first field is the only switch where none is named.
    """

    def declare(of: type[_Fields]) -> type[_Fields]:
        fields = settings_of(of)
        on = switches or tuple(fields)[:1]
        declaration = Declaration(name, steps, place, source, of.__doc__ or "", fields, on, check)
        setattr(of, _DECLARATION, declaration)
        return of

    return declare


def declaration_of(of: type) -> Declaration:
    """The sampler whose fields a dataclass holds."""
    return vars(of)[_DECLARATION]


def require_one(params: object, first: str, second: str, why: str) -> None:
    """Raise `ConflictError` if two fields have both left their defaults."""
    values, defaults = vars(params), type(params)
    neutral = getattr(defaults, first), getattr(defaults, second)
    if values[first] != neutral[0] and values[second] != neutral[1]:
        raise ConflictError(
            f"{first} is {values[first]} and {second} is {values[second]}, but {why}; "
            f"leave one of them at {neutral[0]} and {neutral[1]}.",
            param=second,
        )
