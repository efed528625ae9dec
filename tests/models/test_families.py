"""Prompts, chats and ends of other models are those of transformers, token by token."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from models.chat_template import Message, PromptEnd
from models.checkpoint import LoadedCheckpoint, load
from models.complete import complete
from models.errors import TemplateError
from tests.models.families import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = (
    *(
        "Water",
        "boils",
        "a",
        "temperature",
        "you",
        "kites",
        "élèves",
        "naïve",
        "12",
        "\U0001f6f6",
        "né",
        "您好",
    ),
    *(
        "  ",
        "\n",
        "\n\n",
        "\t",
        "...",
        "</s>",
        "<bos>",
        "<|im_end|>",
        "<think>",
        "[INST]",
        "▁",
        "\u00a0",
        "<0x41>",
    ),
)


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def folder(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("families") / family
    path.mkdir()
    FAMILIES[family].write(path)
    return path


@pytest.fixture(scope="module")
def loaded(folder: Path) -> LoadedCheckpoint:
    return load(folder)


@pytest.fixture(scope="module")
def auto(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def texts(count: int) -> list[str]:
    random = Random("texts")
    return [
        random.choice(["", " "]).join(random.choices(WORDS, k=random.randint(1, 12))) for _ in range(count)
    ]


def chats(count: int) -> list[list[Message]]:
    """Of one to five turns, with a system or without, some of a form that templates do not take."""
    random, said = Random("chats"), iter(texts(10 * count))
    made: list[list[Message]] = []
    for _ in range(count):
        roles = ["user", "assistant"] * 2 + ["user"]
        roles = roles[: random.randint(1, 5)]
        if random.random() < 0.4:
            roles.insert(0 if random.random() < 0.8 else len(roles), "system")
        if random.random() < 0.1:
            roles.append(roles[-1])
        made.append([Message(role, (next(said),)) for role in roles])
    return made


def test_ids_of_prompts_are_those_of_transformers(loaded: LoadedCheckpoint, auto: Any, family: str) -> None:
    begins = FAMILIES[family].begins
    begin_id = None if begins is None else auto.convert_tokens_to_ids(begins)
    for text in texts(200):
        ids = loaded.tokenizer.encode_prompt(text)
        assert ids == auto(text).input_ids
        assert begin_id is None or ids[0] == begin_id
        bare = loaded.tokenizer.encode_prompt(text, add_special_tokens=False)
        assert bare == auto(text, add_special_tokens=False).input_ids == loaded.tokenizer.encode(text)


ENDS: dict[PromptEnd, dict[str, bool]] = {
    "new_turn": {"add_generation_prompt": True},
    "last_turn": {},
    "open_turn": {"continue_final_message": True},
}


@pytest.mark.parametrize("end", ENDS)
def test_ids_of_chats_are_those_of_transformers(loaded: LoadedCheckpoint, auto: Any, end: PromptEnd) -> None:
    template = loaded.tokenizer.chat_template
    assert template is not None
    refused = 0
    for chat in chats(100):
        messages = [{"role": each.role, "content": "".join(each.parts)} for each in chat]
        try:
            expected = auto.apply_chat_template(messages, **ENDS[end]).input_ids
        except Exception:
            refused += 1
            with pytest.raises(TemplateError):
                template.render(chat, end)
        else:
            text = template.render(chat, end).text
            assert loaded.tokenizer.encode_prompt(text, add_special_tokens=False) == expected
    assert refused < 50


def test_names_of_special_tokens_can_be_letters(loaded: LoadedCheckpoint, auto: Any, family: str) -> None:
    """As transformers' `split_special_tokens`; what is added at the begin is a token all the same."""
    end = FAMILIES[family].ends[0]
    (end_id,) = loaded.tokenizer.encode_prompt(end, add_special_tokens=False)
    assert end_id == auto.convert_tokens_to_ids(end)
    for text in (f"Say {end} now", end, f"{end}{end}", "no token at all"):
        literal = loaded.tokenizer.encode_prompt(text, parse_special=False)
        begun = loaded.tokenizer.encode_prompt("")
        assert literal[: len(begun)] == begun
        assert end_id not in literal[len(begun) :]
        assert loaded.tokenizer.decode(literal, skip_special_tokens=True).lstrip(" ") == text
    assert end_id in loaded.tokenizer.encode_prompt(f"Say {end} now"), "the other way is as it was"


def test_text_parts_are_given_as_the_template_reads_them(
    loaded: LoadedCheckpoint, auto: Any, family: str
) -> None:
    """Gemma's reads parts, and trims each; the others read strings only."""
    template = loaded.tokenizer.chat_template
    assert template is not None
    content: Any = [{"type": "text", "text": "a "}, {"type": "text", "text": " b"}]
    messages = [{"role": "user", "content": content if family == "gemma" else "a  b"}]
    expected = auto.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    assert template.render([Message("user", ("a ", " b"))]).text == expected


def test_every_token_that_ends_a_text_is_known(loaded: LoadedCheckpoint, auto: Any, family: str) -> None:
    ends = tuple(auto.convert_tokens_to_ids(list(FAMILIES[family].ends)))
    assert loaded.model.spec.end_token_ids == ends
    assert loaded.model.spec.end_token_id == ends[0]
    assert set(ends) <= loaded.tokenizer.special_ids


def test_completions_end_where_those_of_generate_end(folder: Path, loaded: LoadedCheckpoint) -> None:
    """With random weights a text seldom ends, so any token is made an end in turn."""
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(folder).eval()
    prompt = loaded.tokenizer.encode_prompt("Water boils")
    written = complete(loaded.model, [prompt], max_tokens=12)[0]
    model: Any = loaded.model
    spec = model.spec
    for ends in ([written[3]], [399, written[5]], [*spec.end_token_ids, written[7], written[4]]):
        model.spec = replace(spec, end_token_ids=tuple(ends))
        try:
            ours = complete(model, [prompt], max_tokens=12)[0]
        finally:
            model.spec = spec
        theirs = network.generate(
            torch.tensor([prompt]), max_new_tokens=12, do_sample=False, eos_token_id=ends, pad_token_id=0
        )
        assert ours == theirs[0, len(prompt) :].tolist()
        assert len(ours) < 12


def test_texts_of_tokens_are_those_of_transformers(loaded: LoadedCheckpoint, auto: Any) -> None:
    """Special tokens apart, which have none; a first space, which SentencePiece drops, is kept."""
    for text in texts(100):
        ids = loaded.tokenizer.encode_prompt(text)
        ours = loaded.tokenizer.decode(ids, skip_special_tokens=True)
        assert ours.lstrip(" ") == auto.decode(ids, skip_special_tokens=True).lstrip(" ")
