"""Completions for `demur probe label` from a server of demur, which may be elsewhere and have a GPU."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2

from app.commands.compare_remote import Remote, RemoteError, RemoteRefusal
from probes.fitting.completions import Ask, Asking, Writer, Written

_TIMEOUT_SECONDS = 600.0
"""How long one answer may take: the server may have others to serve."""


@dataclass(frozen=True)
class RemoteModel:
    """The model of a server. weights, tokenizer: sha256 of its files."""

    name: str
    weights: str
    tokenizer: str
    server: Remote

    def writer(self, asking: Asking, at_once: int) -> Writer:
        """Lets the server write; `at_once` requests are under way at any moment."""

        def write(asks: Sequence[Ask]) -> Iterator[Written]:
            with ThreadPoolExecutor(at_once) as pool:
                for start in range(0, len(asks), 4 * at_once):
                    yield from pool.map(partial(self._ask, asking), asks[start : start + 4 * at_once])

        return write

    def _ask(self, asking: Asking, ask: Ask) -> Written:
        body: dict[str, Any] = {
            "model": self.name,
            "prompt": ask.prompt.prompt,
            "max_tokens": asking.max_tokens,
            "temperature": asking.temperature,
            "seed": ask.seed,
        }
        if asking.stop:
            body["stop"] = list(asking.stop)
        choice = self.server.call("POST", "/v1/completions", json=body).json()["choices"][0]
        stop = choice.get("stop_reason")
        ended = choice["finish_reason"] == "stop" and stop is None
        return Written(text=choice["text"] + (stop if isinstance(stop, str) else ""), ended=ended)


@contextmanager
def remote_model(url: str, key: str | None, name: str | None = None) -> Generator[RemoteModel]:
    """The model of a server, or the one of that name.

    Raises:
        RemoteError: the server cannot be reached, refuses the key, or has no such model.
    """
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    base = url.rstrip("/").removesuffix("/v1")
    with httpx2.Client(base_url=base, headers=headers, timeout=_TIMEOUT_SECONDS) as http:
        server = Remote(http, base)
        models = _models(server)
        chosen = next(iter(models), None) if name is None else name
        if chosen is None or chosen not in models:
            raise RemoteRefusal(f"{base} has no model {chosen!r}, only {', '.join(models) or 'none'}")
        if models[chosen]["identity"] is None:  # it is loaded by the first request that names it
            server.call("POST", "/v1/completions", json={"model": chosen, "prompt": "a", "max_tokens": 1})
            models = _models(server)
        identity = models[chosen]["identity"]
        if identity is None:
            raise RemoteError(f"{base} does not say which weights {chosen!r} has; is it a server of demur?")
        yield RemoteModel(chosen, identity["weights"], identity["tokenizer"], server)


def _models(server: Remote) -> dict[str, dict[str, Any]]:
    try:
        listed = server.call("GET", "/v1/models").json()["data"]
        return {each["id"]: {"identity": None, **each} for each in listed}
    except (ValueError, KeyError, TypeError) as error:
        raise RemoteError(f"{server.base} lists no models as demur does; is it a server of demur?") from error
