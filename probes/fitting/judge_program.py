"""A judge that is a program of the user's: it marks what is wrong in completions."""

import subprocess
from collections.abc import Sequence

from pydantic import ValidationError

from probes.errors import LabelsError
from probes.fitting.labels import LabelledCompletion, check_spans


def ask_judge(labels: Sequence[LabelledCompletion], command: Sequence[str]) -> list[LabelledCompletion]:
    """Let a program judge completions.

    It gets them as JSON Lines on its standard input and writes each back, in the same order, with `wrong`
    (and `correct`, `judged`, if it likes) filled in.

    Raises:
        LabelsError: it fails, or does not answer with as many labelled completions.
    """
    lines = "".join(labelled.model_dump_json(exclude_defaults=True) + "\n" for labelled in labels)
    name = " ".join(command)
    try:
        ran = subprocess.run(
            command, input=lines, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except OSError as error:
        raise LabelsError(f"the judge {name!r} cannot be run: {error.strerror or error}") from error
    if ran.returncode:
        last = (ran.stderr.strip().splitlines() or ["no message"])[-1]
        raise LabelsError(f"the judge {name!r} failed with status {ran.returncode}: {last}")
    answers = ran.stdout.removesuffix("\n").split("\n") if ran.stdout else []  # not at U+2028
    if len(answers) != len(labels):
        raise LabelsError(f"the judge {name!r} wrote {len(answers)} lines for {len(labels)} completions")
    judged: list[LabelledCompletion] = []
    for asked, answer in zip(labels, answers, strict=True):
        try:
            labelled = LabelledCompletion.model_validate_json(answer)
        except ValidationError as error:
            raise LabelsError(
                f"the judge {name!r} wrote {answer[:80]!r}: {error.errors()[0]['msg']}"
            ) from error
        if (labelled.prompt, labelled.completion) != (asked.prompt, asked.completion):
            raise LabelsError(f"the judge {name!r} changed or moved the completion of {asked.prompt[:40]!r}")
        check_spans(labelled, f"the judge {name!r}")
        judged.append(labelled)
    return judged
