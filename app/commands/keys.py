"""`demur keys`: named API keys of a server, in a file that it reads again when it changes."""

import os
from pathlib import Path
from typing import Annotated

import typer

from app.commands.command_line import CommandLine
from app.commands.failures import WRONG_USE, fail, failing_on

app = CommandLine(
    "keys",
    "Named API keys of a server, each with limits of its own, in a file for `demur serve --api-keys FILE`. A "
    "server that runs notices the change within a second of its next request.",
)

DEFAULT_FILE = Path("api-keys.json")

FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", help="The file of keys.  [default: that of DEMUR_API_KEYS, or api-keys.json here]"
    ),
]


def complete_key(context: typer.Context, incomplete: str) -> list[str]:
    """The names of the file that the command line names."""
    from app.api.keys import KeysError, read_keys

    try:
        names = read_keys(_file(context.params.get("file"))).names
    except KeysError:
        return []
    return [name for name in names if name.startswith(incomplete)]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What logs, metrics and limits call it.")],
    file: FileOption = None,
    requests_per_minute: Annotated[
        int | None, typer.Option(min=1, help="Most requests to /v1 in a minute.  [default: no limit]")
    ] = None,
    tokens_per_minute: Annotated[
        int | None,
        typer.Option(min=1, help="Most tokens in a minute, discarded ones too.  [default: no limit]"),
    ] = None,
    concurrent: Annotated[
        int | None, typer.Option(min=1, help="Most requests to /v1 at the same time.  [default: no limit]")
    ] = None,
) -> None:
    """Make a key and print it. It is shown this once: the file keeps only its hash."""
    from app.api.keys import KeyLimits, KeyList, KeysError, change_keys, new_key

    limits = KeyLimits(
        requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute, concurrent=concurrent
    )
    path = _file(file)
    with failing_on(KeysError, status=WRONG_USE):
        key, kept = new_key(name, limits)

        def with_it(keys: KeyList) -> KeyList:
            if name in keys.names:
                raise KeysError(
                    f"{path} has a key {name!r} already. Take another name, or revoke it first with "
                    f"`demur keys revoke {name}`"
                )
            return KeyList(keys=(*keys.keys, kept))

        change_keys(path, with_it)
    typer.echo(key)
    typer.echo(f"The key {name!r} is in {path}; this is the only time that it is shown.", err=True)


@app.command(name="list")
def list_all(file: FileOption = None) -> None:
    """List the keys with their limits."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from app.api.keys import KeysError, read_keys

    with failing_on(KeysError, status=WRONG_USE):
        keys = read_keys(_file(file)).keys
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("name", "made", "requests per minute", "tokens per minute", "concurrent", "sha256"):
        table.add_column(heading, overflow="fold")
    for key in keys:
        limits = (key.limits.requests_per_minute, key.limits.tokens_per_minute, key.limits.concurrent)
        told = ("no limit" if limit is None else f"{limit:,}" for limit in limits)
        table.add_row(key.name, key.created, *told, f"{key.sha256[:12]}...")
    Console(highlight=False).print(table)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The key's name.", autocompletion=complete_key)],
    file: FileOption = None,
) -> None:
    """Remove a key. A server that runs refuses it within a second."""
    from app.api.keys import KeyList, KeysError, change_keys

    path = _file(file)

    def without_it(keys: KeyList) -> KeyList:
        if name not in keys.names:
            there = ", ".join(keys.names) or "none"
            raise KeysError(f"{path} has no key {name!r}; there are: {there}")
        return KeyList(keys=tuple(key for key in keys.keys if key.name != name))

    with failing_on(KeysError, status=WRONG_USE):
        if not path.exists():
            raise fail(f"there is no file {path}", WRONG_USE)
        change_keys(path, without_it)
    typer.echo(f"The key {name!r} is no longer in {path}.", err=True)


def _file(given: Path | None) -> Path:
    return given or Path(os.environ.get("DEMUR_API_KEYS") or DEFAULT_FILE)
