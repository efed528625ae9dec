"""From what happens to the engine's branches to the items of `live`."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.api.rendering import TokenTexts, logprob, signals_out
from app.api.schemas.live import (
    LiveAlternative,
    LiveChosen,
    LiveDrop,
    LiveEvent,
    LiveFork,
    LiveItem,
    LiveRollback,
    LiveToken,
)
from app.decoding.core.live import (
    Branch,
    BranchChosen,
    Dropped,
    Forked,
    Happening,
    Noted,
    RolledBack,
    TokenWritten,
)


@dataclass(frozen=True)
class LiveItems:
    """Words happenings as the request wants them. with_signals, with_top: it asks for these."""

    texts: TokenTexts
    with_signals: bool
    with_top: bool

    def items(self, happenings: Sequence[Happening], first_index: int = 0) -> list[LiveItem]:
        """The items in the same order. first_index: number of the prompt's first choice."""
        return [self._item(each, first_index + each.branch[0]) for each in happenings]

    def _item(self, happening: Happening, index: int) -> LiveItem:
        branch = _name(happening.branch)
        match happening:
            case TokenWritten():
                return self._token(happening, index, branch)
            case RolledBack(event=event):
                detail = dict(event.detail)
                return LiveRollback(
                    index=index, branch=branch, position=event.position, rule=event.rule, detail=detail
                )
            case Noted(event=event):
                detail = dict(event.detail)
                return LiveEvent(
                    index=index, branch=branch, position=event.position, rule=event.rule, detail=detail
                )
            case Forked(parent=parent, position=position):
                return LiveFork(index=index, branch=branch, parent=_name(parent), position=position)
            case Dropped():
                return LiveDrop(index=index, branch=branch)
            case BranchChosen(position=position):
                return LiveChosen(index=index, branch=branch, position=position)

    def _token(self, written: TokenWritten, index: int, branch: str) -> LiveToken:
        token = written.token
        return LiveToken(
            index=index,
            branch=branch,
            position=written.position,
            token=self.texts.text(token.id, ends=written.ends),
            token_id=token.id,
            logprob=logprob(token.logprob),
            forced=token.forced or None,
            signals=signals_out(token) if self.with_signals else None,
            top=self._top(written) if self.with_top else None,
        )

    def _top(self, written: TokenWritten) -> list[LiveAlternative]:
        return [
            LiveAlternative(
                token=self.texts.text(other.token_id), token_id=other.token_id, logprob=logprob(other.logprob)
            )
            for other in written.token.top
        ]


def _name(branch: Branch) -> str:
    """Every choice's first branch is "0", whatever the choice's own number."""
    return ".".join(map(str, (0, *branch[1:])))
