"""Names of points keep off each other."""

from itertools import combinations

from app.compare.report.labels import Label, place

SIZE, AREA = 9.0, (400.0, 300.0)


def _box(point: tuple[float, float], name: str, label: Label) -> tuple[float, float, float, float]:
    """Where a reader sees the text, somewhat narrower than it was planned."""
    width = 0.5 * SIZE * len(name)
    left = point[0] + label.dx - {"left": 0.0, "center": width / 2, "right": width}[label.align]
    return left, point[1] + label.dy - 0.45 * SIZE, left + width, point[1] + label.dy + 0.45 * SIZE


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return min(one[2], other[2]) > max(one[0], other[0]) and min(one[3], other[3]) > max(one[1], other[1])


def test_names_of_neighbours_do_not_cover_each_other() -> None:
    points = [(200.0, 150.0), (204.0, 152.0), (200.0, 160.0), (210.0, 148.0), (20.0, 290.0), (395.0, 5.0)]
    names = ["greedy (baseline)", "sample", "self_consistency", "retry", "beam", "at-the-edge"]
    boxes = [
        _box(point, name, label)
        for point, name, label in zip(points, names, place(points, names, AREA, SIZE), strict=True)
    ]
    assert not any(_overlap(one, other) for one, other in combinations(boxes, 2))
    assert all(box[0] > -1 and box[2] < AREA[0] + 1 and box[1] > -1 and box[3] < AREA[1] + 1 for box in boxes)


def test_a_point_alone_has_its_name_to_the_right() -> None:
    assert place([(100.0, 100.0)], ["a"], AREA, SIZE) == [Label(7.0, 0, "left", False)]


def test_a_name_keeps_off_lines() -> None:
    line = (100.0, 100.0, 300.0, 100.0)
    label = place([(100.0, 100.0)], ["name"], AREA, SIZE, [line])[0]
    assert label.dy != 0 or label.align == "right"
