"""`demur convert`: an ordinary checkpoint folder from the single file that llama.cpp reads."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.commands.failures import failing_on


def convert(
    model: Annotated[Path, typer.Argument(metavar="MODEL.gguf", help="The GGUF file.")],
    folder: Annotated[Path, typer.Argument(help="Folder to write; it must not exist, or be empty.")],
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"],
        typer.Option(help="Of the weights written. Only float32 holds exactly what a quantised file does."),
    ] = "float32",
) -> None:
    """Convert a GGUF into a folder that `demur serve --checkpoint` and transformers load.

    The folder has weights, config, tokenizer, every token that ends a text, and the chat template if the file
    has one. It is all there or not at all. Needs pip install 'demur[gguf]'.
    """
    from models.errors import ModelsError
    from models.gguf_file import check_conversion

    with failing_on(ModelsError):
        check_conversion(model, folder)  # before torch is imported
        import torch

        from models.gguf_file import convert as write_folder

        facts = write_folder(model, folder, getattr(torch, dtype), lambda step: typer.echo(step, err=True))
    template = "with" if facts.has_chat_template else "without"
    typer.echo(
        f"Wrote {folder}: {facts.architecture}, {len(facts.tokens):,} tokens, {template} a chat template. "
        f"Serve it: demur serve --checkpoint {folder}"
    )
