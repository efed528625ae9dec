"""Is a folder of another make served as transformers runs it?

Whether chats and prompts become the same token ids, greedy answers the same texts as those of transformers'
`generate`, and in what time the folder is ready:

    python benchmarks/foreign_model.py FOLDER
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from app.decoding.core.types import StoppingParams
from app.decoding.sampling.params import SamplingParams
from app.decoding.strategies import Greedy
from app.engine.engine import Engine
from app.engine.types import GenerationRequest
from app.measure.asking import collect
from models import checkpoint
from models.chat_template import Message
from models.checkpoint import LoadedCheckpoint
from models.errors import TemplateError

QUESTIONS = (
    "What is the capital of France?",
    "Name three colours.",
    "Why does water boil at a lower temperature on a mountain?",
    "Write one sentence about a cat.",
    "What is 12 + 30?",
)
SYSTEM = "You answer in one short sentence."
WORDS = (
    "water",
    "Élan",
    "12",
    " ",
    "\n",
    "naïve",
    "...",
    "\U0001f6f6",
    "the",
    "您好",
    "<|im_end|>",
    "</s>",
    "\t",
)


def chats() -> list[list[Message]]:
    """One turn, several, and both with a system message."""
    asked = [[Message("user", (question,))] for question in QUESTIONS]
    earlier = [Message("user", (QUESTIONS[0],)), Message("assistant", ("Paris.",))]
    asked += [[*earlier, *chat] for chat in asked]
    return asked + [[Message("system", (SYSTEM,)), *chat] for chat in asked]


def prompts(count: int) -> list[str]:
    """Of words, blanks and names of special tokens, in an order that is the same every time."""
    step = len(WORDS) - 2
    return [
        "".join(WORDS[(each * step + place * (each + 1)) % len(WORDS)] for place in range(9))
        for each in range(count)
    ]


def given(chat: list[Message]) -> list[dict[str, str]]:
    """A chat as transformers takes it."""
    return [{"role": each.role, "content": "".join(each.parts)} for each in chat]


def ids_of_chat(loaded: LoadedCheckpoint, chat: list[Message]) -> list[int] | None:
    """None where the model's template does not take it."""
    assert loaded.tokenizer.chat_template is not None
    try:
        text = loaded.tokenizer.chat_template.render(chat).text
    except TemplateError:
        return None
    return loaded.tokenizer.encode_prompt(text, add_special_tokens=False)


def theirs_of_chat(auto: Any, chat: list[Message]) -> list[int] | None:
    """The ids that transformers makes of a chat; None where the template does not take it."""
    try:
        ids: list[int] = auto.apply_chat_template(given(chat), add_generation_prompt=True)["input_ids"]
    except Exception:
        return None
    return ids


def answer(engine: Engine, ids: list[int], max_tokens: int) -> str:
    """The engine's greedy text."""
    request = GenerationRequest(
        prompt_ids=tuple(ids),
        strategy=Greedy(),
        sampling=SamplingParams(temperature=0.0),
        stopping=StoppingParams(max_tokens=max_tokens),
    )
    items = list(engine.submit(request))
    return collect(items).text


@torch.inference_mode()
def generated(network: Any, auto: Any, ids: list[int], ends: list[int], max_tokens: int) -> str:
    """The greedy text of transformers."""
    written = network.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
        max_new_tokens=max_tokens,
        do_sample=False,
        repetition_penalty=1.0,
        eos_token_id=ends,
        pad_token_id=ends[0],
    )
    return auto.decode(written[0, len(ids) :], skip_special_tokens=True)


def main() -> int:
    """Compare, print, and return how many differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--max-tokens", type=int, default=24)
    parser.add_argument("--answers", type=int, default=len(chats()), help="chats whose answers are compared")
    options = parser.parse_args()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    console = Console(highlight=False, markup=False, soft_wrap=True)
    auto: Any = AutoTokenizer.from_pretrained(options.folder)
    began, cpu = time.perf_counter(), time.process_time()
    loaded = checkpoint.load(options.folder)
    between = time.process_time()
    with Engine(loaded) as engine:
        spec = loaded.model.spec
        console.print(
            f"{spec.name}: {spec.vocab_size:,} tokens, ends {list(spec.end_token_ids)}; ready after "
            f"{time.perf_counter() - began:.1f} s, {time.process_time() - cpu:.1f} s of processor time, "
            f"{time.process_time() - between:.1f} s of it after the load"
        )
        texts = prompts(100)
        wrong = sum(loaded.tokenizer.encode_prompt(text) != auto(text)["input_ids"] for text in texts)
        console.print(f"prompts: {len(texts) - wrong} of {len(texts)} have the ids of transformers")
        if loaded.tokenizer.chat_template is None:
            console.print("no chat template")
            return wrong
        asked = chats()
        rendered = [(ids_of_chat(loaded, chat), theirs_of_chat(auto, chat)) for chat in asked]
        odd = sum(ours != theirs for ours, theirs in rendered)
        taken = [ours for ours, _ in rendered if ours is not None]
        console.print(f"chats: {len(asked) - odd} of {len(asked)} have them; the template takes {len(taken)}")
        network = AutoModelForCausalLM.from_pretrained(options.folder, dtype=torch.float32).eval()
        differ = 0
        for ids in taken[: options.answers]:
            ours = answer(engine, ids, options.max_tokens)
            theirs = generated(network, auto, ids, list(spec.end_token_ids), options.max_tokens)
            differ += ours != theirs
            console.print(f"  {'same' if ours == theirs else f'DIFFERS from {theirs!r}'}: {ours!r}")
        compared = min(len(taken), options.answers)
        console.print(f"greedy answers: {compared - differ} of {compared} are those of generate")
    return wrong + odd + differ


if __name__ == "__main__":
    sys.exit(min(main(), 1))
