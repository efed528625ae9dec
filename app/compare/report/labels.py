"""Where the name of a point goes, so that names cover neither each other nor points."""

from collections.abc import Sequence
from dataclasses import dataclass

_CHARACTER = 0.56  # mean width of a letter in font sizes
_GAP = 7.0


@dataclass(frozen=True)
class Label:
    """Offset of a text's anchor from its point, in points (1/72 inch), and its horizontal alignment.

    far: it had to go so far that a line should lead to it.
    """

    dx: float
    dy: float
    align: str
    far: bool


@dataclass(frozen=True)
class _Box:
    left: float
    bottom: float
    right: float
    top: float

    def overlap(self, other: "_Box") -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(width, 0.0) * max(height, 0.0)

    def outside(self, width: float, height: float) -> float:
        """How far it sticks out of the area, all sides together."""
        return (
            max(-self.left, 0.0)
            + max(-self.bottom, 0.0)
            + max(self.right - width, 0.0)
            + max(self.top - height, 0.0)
        )


def place(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    area: tuple[float, float],
    size: float,
    lines: Sequence[tuple[float, float, float, float]] = (),
) -> list[Label]:
    """A place for the name of each point, one after the other.

    Args:
        points: in typographic points from the lower left corner of the area.
        area: its width and height. size: of the font.
        lines: left, bottom, right, top of vertical and horizontal lines that names should keep off.
    """
    taken = [_Box(x - 5, y - 5, x + 5, y + 5) for x, y in points]
    taken += [_Box(left - 1, bottom - 1, right + 1, top + 1) for left, bottom, right, top in lines]
    labels: list[Label] = []
    for (x, y), name in zip(points, names, strict=True):
        width = _CHARACTER * size * len(name)
        best = min(
            _candidates(),
            key=lambda label: _cost(_box(x, y, label, width, size), taken, area) + _distance(label),
        )
        taken.append(_box(x, y, best, width, size))
        labels.append(best)
    return labels


def _candidates() -> list[Label]:
    """From the best place to the worst: right, left, above, below, then farther away."""
    near = [Label(_GAP, 0, "left", False), Label(-_GAP, 0, "right", False)]
    for dy in (8.0, -8.0, 12.0, -12.0):
        near += [
            Label(0, dy, "center", False),
            Label(_GAP, dy, "left", False),
            Label(-_GAP, dy, "right", False),
        ]
    far = [
        Label(dx, dy, "left" if dx > 0 else "right", True)
        for dy in (18.0, -18.0, 28.0, -28.0, 40.0, -40.0, 54.0, -54.0)
        for dx in (12.0, -12.0)
    ]
    return near + far


def _box(x: float, y: float, label: Label, width: float, size: float) -> _Box:
    left = x + label.dx - {"left": 0.0, "center": width / 2, "right": width}[label.align]
    return _Box(left, y + label.dy - 0.6 * size, left + width, y + label.dy + 0.6 * size)


def _cost(box: _Box, taken: Sequence[_Box], area: tuple[float, float]) -> float:
    return sum(box.overlap(other) for other in taken) + 60 * box.outside(*area)


def _distance(label: Label) -> float:
    return 0.3 * (abs(label.dx) + abs(label.dy)) + (4 if label.far else 0)
