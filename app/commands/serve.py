"""`demur serve`: the web service."""

import math
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.commands.failures import WRONG_USE, fail, failing_on
from app.commands.options import CheckpointOption, DeviceOption, MaxRowsOption, ProbesOption
from models.files import is_gguf

if TYPE_CHECKING:
    from uvicorn import Config, Server

    from app.settings import Settings

_OTHER_FILES = 256  # weights, comparisons, and connections that are being refused
_DRAIN_POLL_SECONDS = 0.05
_SWITCH_SECONDS = 0.0005

# Flags default to None, which leaves the word to the environment (DEMUR_PORT) and then to app.settings.


def serve(
    checkpoint: CheckpointOption = None,
    probes: ProbesOption = None,
    no_probes: Annotated[bool | None, typer.Option("--no-probes", help="Load no probes.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=FOLDER",
            help="A model to serve by this name, loaded when a request names it. Repeatable; a checkpoint "
            "that is given too is the first.  [default: only the checkpoint]",
        ),
    ] = None,
    model_probes: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FOLDER", help="Folder of probes of one of these models. Repeatable."),
    ] = None,
    max_model_bytes: Annotated[
        int | None,
        typer.Option(
            help="Most bytes of the weights of all loaded models; the one goes that was not used for longest."
            "  [default: no limit]"
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; 0.0.0.0 is every interface.  [default: 127.0.0.1]"),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.  [default: 8000]")
    ] = None,
    device: DeviceOption = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="auto, float32, bfloat16, float16, or int8 for weights only.  [default: auto]"),
    ] = None,
    kernel: Annotated[
        str | None,
        typer.Option(help="What computes a model of our own: auto, native or torch.  [default: auto]"),
    ] = None,
    compile: Annotated[
        bool | None,
        typer.Option(help="Compile the steps of models of another make, in a minute.  [default: no-compile]"),
    ] = None,
    max_context: Annotated[
        int | None,
        typer.Option(help="Most tokens of prompt and completion.  [default: the model's context]"),
    ] = None,
    max_rows: MaxRowsOption = None,
    prefix_cache_bytes: Annotated[
        int | None,
        typer.Option(
            help="Memory up to which ended texts are kept for requests that begin alike; 0 keeps none."
            "  [default: 1073741824]"
        ),
    ] = None,
    max_waiting: Annotated[
        int | None, typer.Option(help="Requests that may wait; further ones get status 429.  [default: 256]")
    ] = None,
    max_queue_seconds: Annotated[
        float | None,
        typer.Option(help="How long a request may wait to begin; then it gets 429.  [default: 60]"),
    ] = None,
    request_timeout_seconds: Annotated[
        float | None,
        typer.Option(help="How long a request may take; then it gets status 504.  [default: 600]"),
    ] = None,
    max_choices: Annotated[int | None, typer.Option(help="Largest n of a request.  [default: 128]")] = None,
    max_request_choices: Annotated[
        int | None, typer.Option(help="Most completions of a request, n times its prompts.  [default: 256]")
    ] = None,
    default_max_tokens: Annotated[
        int | None,
        typer.Option(help="Most tokens where a request names no max_tokens.  [default: 512]"),
    ] = None,
    max_body_bytes: Annotated[
        int | None, typer.Option(help="Largest request body.  [default: 1048576]")
    ] = None,
    header_timeout_seconds: Annotated[
        float | None, typer.Option(help="Time that a client has for a request's header.  [default: 10]")
    ] = None,
    body_timeout_seconds: Annotated[
        float | None,
        typer.Option(help="Time that a client has for a request's body; then it gets 408.  [default: 20]"),
    ] = None,
    keep_alive_seconds: Annotated[
        float | None,
        typer.Option(help="Time that a connection stays open for another request.  [default: 5]"),
    ] = None,
    write_timeout_seconds: Annotated[
        float | None,
        typer.Option(help="Time that a client may read nothing of a waiting answer.  [default: 30]"),
    ] = None,
    max_connections: Annotated[
        int | None,
        typer.Option(
            help="Connections at the same time; if all are busy, a new one gets status 503.  [default: 1024]"
        ),
    ] = None,
    comparisons: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the comparisons of /v1/compare; one for each server.  [default: runs/comparisons]"
        ),
    ] = None,
    drain_seconds: Annotated[
        float | None,
        typer.Option(help="When stopped, time that running requests have to finish.  [default: 10]"),
    ] = None,
    cors_origins: Annotated[
        str | None,
        typer.Option(help="Web origins that may call, separated by commas; * is all.  [default: none]"),
    ] = None,
    allowed_hosts: Annotated[
        str | None,
        typer.Option(
            help="Names a request's Host may have besides localhost, this machine's name and addresses, "
            "separated by commas; *.example.com is all below it, * is all.  [default: none]"
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(help="Key that /v1 asks for; rather set DEMUR_API_KEY, which other users cannot see."),
    ] = None,
    api_keys: Annotated[
        Path | None,
        typer.Option(help="File of named API keys (`demur keys`), read again when it changes."),
    ] = None,
    api_keys_json: Annotated[
        str | None, typer.Option(help="The same as such a file holds; rather set DEMUR_API_KEYS_JSON.")
    ] = None,
    protect_metrics: Annotated[
        bool | None, typer.Option("--protect-metrics", help="/metrics wants an API key too.")
    ] = None,
    protect_docs: Annotated[
        bool | None, typer.Option("--protect-docs", help="/docs and /openapi.json want an API key too.")
    ] = None,
    log_format: Annotated[
        str | None, typer.Option(help="console, or json for an object per line.  [default: console]")
    ] = None,
    tracing: Annotated[
        bool | None, typer.Option("--tracing", help="Send traces by OpenTelemetry (demur[otel]).")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="critical, error, warning, info or debug.  [default: info]")
    ] = None,
) -> None:
    """Serve a checkpoint over HTTP, or several models by name.

    Every option can also be set in the environment, as DEMUR_ and its name in capitals.
    """
    flags = dict(locals())
    from app.settings import SettingsError, load_settings

    with failing_on(SettingsError):
        settings = load_settings({name: value for name, value in flags.items() if value != []})
    for source in settings.sources:
        _require_checkpoint(source.checkpoint)
    listener = _listen(settings.host, settings.port)
    _run(settings, listener)


def _require_checkpoint(folder: Path) -> None:
    if is_gguf(folder):
        if not folder.is_file():
            raise fail(f"there is no file {folder}; name a GGUF with --checkpoint or --model.", WRONG_USE)
        return
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    if missing:
        raise fail(
            f"{folder} is not a checkpoint: it has no {' and no '.join(missing)}. Name a folder with "
            "config.json, tokenizer.json and model.safetensors with --checkpoint, --model, or "
            "DEMUR_CHECKPOINT.",
            WRONG_USE,
        )


def _listen(host: str, port: int) -> socket.socket:
    """Bind now, so that a taken port is reported before the checkpoint is loaded."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
        # Connections inherit it. asyncio sets it only on sockets that it made itself, and without it the body
        # of an answer waits 40 ms until the client acknowledges the header (Nagle, delayed acknowledgement).
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise fail(
            f"cannot listen on {host}:{port}: {error.strerror or error}. Stop what uses the port, or choose "
            "another with --port or DEMUR_PORT (0 takes a free one)."
        ) from error


def _run(settings: "Settings", listener: socket.socket) -> None:
    import uvicorn

    from app.api.keys import KeysError
    from app.commands.logs import logging_config
    from app.main import create_app

    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"demur listens on http://{shown}:{port} (routes: http://{shown}:{port}/docs)", err=True)
    _allow_files(settings.max_connections)
    with failing_on(KeysError, status=WRONG_USE):
        application = create_app(settings)
    config = uvicorn.Config(
        application,
        http=application.state.protocol,
        ws="none",
        timeout_keep_alive=math.ceil(settings.keep_alive_seconds),
        log_level=settings.log_level,
        log_config=logging_config(settings.log_level, settings.log_format),
        access_log=False,  # a request's line has more, see app.api.middleware
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds) + 5,
        server_header=False,
    )
    service = application.state.service
    server = draining_server(config, settings.drain_seconds, service.drain, service.stop)
    reasons: list[str] = []

    def give_up(reason: str) -> None:
        reasons.append(reason)
        server.should_exit = True

    service.give_up = give_up
    # The engine's thread and the event loop share Python's lock. With 5 ms, which is Python's own, a request
    # waits that long a few times over before the engine even knows of it.
    sys.setswitchinterval(_SWITCH_SECONDS)
    server.run(sockets=[listener])
    if reasons:
        raise fail(reasons[0])


def _allow_files(connections: int) -> None:
    """Every connection is an open file, and many systems allow 1024 unless a process asks for more."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if hard != resource.RLIM_INFINITY and wanted > hard:
        typer.echo(
            f"Warning: max_connections is {connections}, but this process may open {hard} files, of which it "
            f"needs {_OTHER_FILES} otherwise. Lower --max-connections, or raise the limit (ulimit -Hn).",
            err=True,
        )
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def draining_server(
    config: "Config", drain_seconds: float, drain: Callable[[], None], stop: Callable[[], None]
) -> "Server":
    """A server that, when it shuts down, gives running requests a while and then ends them with an error.

    Meanwhile it goes on listening, so that whoever comes is told that it is stopping. Whoever has not sent
    all of a request is told so at once.
    """
    import asyncio

    import uvicorn

    from app.api.connection import Connection
    from app.api.errors import draining

    class DrainingServer(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            drain()
            ends = time.monotonic() + drain_seconds
            while self.server_state.tasks and not self.force_exit and time.monotonic() < ends:
                for connection in list(self.server_state.connections):
                    if isinstance(connection, Connection):
                        connection.refuse_unread(draining(drain_seconds))
                await asyncio.sleep(_DRAIN_POLL_SECONDS)
            if self.server_state.tasks:
                stop()
            await super().shutdown(sockets)

    return DrainingServer(config)
