"""Prompts and chats of real models are those of transformers, token by token.

Folders are given by DEMUR_TEST_MODELS, separated by colons; `demur convert` makes them of GGUF files.
"""

import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from models.chat_template import Message
from models.hub_tokenizer import load_tokenizer

FOLDERS = [Path(each) for each in os.environ.get("DEMUR_TEST_MODELS", "").split(":") if each]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not FOLDERS, reason="DEMUR_TEST_MODELS names no folder"),
]

WORDS = (
    "Water",
    "boils",
    "at",
    "100",
    "12.5",
    "you're",
    "\u00e9l\u00e8ves",
    "\u60a8\u597d",
    "\U0001f6f6",
    "...",
)
SPACES = ("", " ", " ", " ", "  ", "\n", "\n\n", "\t", "<|im_end|>", "<eos>")


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda folder: folder.name)
def folder(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def texts(count: int) -> list[str]:
    random = Random(0)
    return [
        "".join(random.choice(SPACES) + random.choice(WORDS) for _ in range(random.randint(1, 30)))
        for _ in range(count)
    ]


def test_ids_are_those_of_transformers(folder: Path) -> None:
    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer.from_pretrained(folder)
    ours = load_tokenizer(folder, is_ours=False)
    for text in texts(200):
        assert ours.encode_prompt(text) == auto(text).input_ids
    assert (ours.chat_template is None) == (auto.chat_template is None)
    said = iter(texts(400))
    for turns in range(1, 101) if ours.chat_template is not None else ():
        roles = ["system"] * (turns % 2) + ["user", "assistant"] * 2 + ["user"]
        roles = roles[: 1 + turns % 2 + turns % 4]
        chat = [Message(role, (next(said),)) for role in roles]
        messages = [{"role": each.role, "content": "".join(each.parts)} for each in chat]
        assert ours.chat_template is not None
        text = ours.chat_template.render(chat).text
        expected = auto.apply_chat_template(messages, add_generation_prompt=True).input_ids
        assert ours.encode_prompt(text, add_special_tokens=False) == expected
