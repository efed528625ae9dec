"""The list of samplers, and that the documentation has it."""

from pathlib import Path

from app.decoding.sampling.declaration import Declaration
from app.decoding.sampling.samplers import SAMPLERS, SETTINGS

DOCUMENT = Path(__file__).parents[4] / "docs" / "sampling.md"
HEAD = "| in `samplers` | turned on by | further fields | what it does | from |\n|---|---|---|---|---|\n"


def row(sampler: Declaration) -> str:
    switches, settings = (
        ", ".join(f"`{each}`" for each in names) for names in (sampler.switches, sampler.settings)
    )
    return f"| `{sampler.name}` | {switches} | {settings} | {sampler.about} | {sampler.source} |\n"


def test_the_documentation_has_a_table_of_all_samplers_in_the_default_order() -> None:
    document, before = DOCUMENT.read_text(), HEAD
    for each in SAMPLERS.values():
        before += row(each)
        assert before in document, f"{DOCUMENT.name} lacks, after the row before it:\n{row(each)}"
    assert f"{before}\n" in document, f"{DOCUMENT.name} has rows of samplers that there are not"


def test_no_two_samplers_have_a_field_a_switch_or_a_place_in_common() -> None:
    every = SAMPLERS.values()
    assert len(SETTINGS) == sum(len(each.fields) for each in every)
    assert all(set(each.switches) <= set(each.fields) for each in every)
    assert len({(each.kind, each.place) for each in every}) == len(SAMPLERS)
    assert all({step.kind for step in each.steps} == {each.kind} for each in every)
