"""Which completions a fit may look at."""

import pytest

from probes.errors import LabelsError
from probes.fitting.labels import LabelledCompletion, Part
from probes.fitting.workflow import EVERY_PART, FITTED_ON, by_part


def labelled(part: Part) -> LabelledCompletion:
    return LabelledCompletion(prompt=f"question for {part}", completion="answer", part=part)


def test_a_fit_never_sees_the_test_part() -> None:
    labels = [labelled(part) for part in EVERY_PART for _ in range(2)]
    assert set(by_part(labels, FITTED_ON)) == {"fit", "validation", "calibration"}
    assert {part: len(found) for part, found in by_part(labels).items()} == dict.fromkeys(EVERY_PART, 2)


def test_a_part_that_is_needed_and_empty_is_named() -> None:
    labels = [labelled("fit"), labelled("validation")]
    with pytest.raises(LabelsError, match="of 2 labelled completions none is in the part calibration"):
        by_part(labels, FITTED_ON)
    with pytest.raises(LabelsError, match="calibration or test"):
        by_part(labels)
