"""Running a comparison on a server, and showing how far it is."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
from pydantic import ValidationError
from rich.console import Console

from app.commands.compare_live import LiveTable
from app.commands.compare_run import Finished
from app.compare.folder import (
    ABOUT_FILE,
    LATENCY_FILE,
    OUTCOMES_FILE,
    PAGE_FILE,
    PROBLEMS_FILE,
    REPORT_FILE,
    SPEC_FILE,
)
from app.compare.lines import unusable
from app.compare.outcome import LatencySample, Outcome
from app.compare.results import ComparisonReport
from app.compare.server.state import ComparisonStatus
from app.compare.spec import ComparisonSpec, parse_spec
from app.errors import ComparisonFolderError, DemurError, RequestError
from app.settings import load_settings
from models.files import read_json, write_atomically

REMOTE_FILE = "remote.json"

_SILENCE_SECONDS = 30.0
"""A server that says nothing for so long is asked again; it sends something every ten seconds."""
_SUBMIT_SECONDS = 660.0
"""How long it may take a server to load the models of a comparison and to draw its problems. If we gave up,
it would go on nevertheless, and we would not know which comparison is ours."""
_PATIENCE_SECONDS = 120.0
"""How long a server may be away, to be started again for example, before we give up."""
_PAGE = 1000
_AWAY = 503
_AT_FAULT = (400, 401, 403, 404, 413, 422)


class RemoteError(DemurError):
    """The server refused, failed, or cannot be reached."""


class RemoteRefusal(RemoteError, RequestError):
    """The server finds fault with what it is asked for."""


def run_there(spec: ComparisonSpec, path: Path, url: str, *, must_exist: bool = False) -> Finished:
    """Have a server run a comparison, follow it, and fetch what it finds into a folder.

    The folder remembers which comparison it is, so the same call goes on with it. A stop from the keyboard
    cancels the comparison on the server; its outcomes are kept there. The key is that of DEMUR_API_KEY.

    must_exist: the folder has to know a comparison.

    Raises:
        RemoteError: the server refuses it, fails, or is away for long.
        ComparisonFolderError: the folder is of another comparison, or cannot be used.
    """
    path = path.absolute()
    key = load_settings().api_key
    headers = {} if key is None else {"authorization": f"Bearer {key.get_secret_value()}"}
    base = url.rstrip("/").removesuffix("/v1")
    with httpx2.Client(base_url=base, headers=headers, timeout=_SILENCE_SECONDS) as http:
        remote = Remote(http, base)
        id = _known(remote, path, spec, must_exist) or _submit(remote, path, spec)
        _write(path, {ABOUT_FILE: remote.call("GET", f"/v1/compare/{id}/about").content})
        Console(stderr=True, highlight=False).print(f"Comparison {id} on {base}; its files go to {path}.")
        try:
            with LiveTable(spec) as live:
                outcomes, status = _follow(remote, id, path, live)
        except KeyboardInterrupt:
            with suppress(RemoteError):
                remote.call("POST", f"/v1/compare/{id}/cancel")
            raise
        if status.status != "done":
            raise RemoteError(
                f"comparison {id} is {status.status}{f': {status.error}' if status.error else ''}"
            )
        report = remote.call("GET", f"/v1/compare/{id}/report.json").content
        page = remote.call("GET", f"/v1/compare/{id}/report.html").content
        problems = remote.lines(f"/v1/compare/{id}/problems")
    _write(path, {REPORT_FILE: report, PAGE_FILE: page, PROBLEMS_FILE: _as_lines(problems)})
    prompts = {str(each["id"]): str(each["prompt"]) for each in problems}
    return Finished(ComparisonReport.model_validate_json(report), outcomes, prompts)


class Remote:
    """A server of demur."""

    def __init__(self, http: httpx2.Client, base: str) -> None:
        self.base = base
        self._http = http
        self._answered = False

    def call(self, method: str, path: str, **fields: Any) -> httpx2.Response:
        """An answer that is a success. A server that loads its model or is busy is waited for, as is one that
        has answered before and is away now; one whose model cannot be loaded is not.

        Raises:
            RemoteError: it refuses, or stays away.
        """
        give_up = time.monotonic() + _PATIENCE_SECONDS
        pause = 0.25
        while True:
            try:
                answer = self._http.request(method, path, **fields)
            except httpx2.HTTPError as error:
                reason = f"{self.base} cannot be reached: {error}. Is that its address, and does it run?"
                heard = method == "POST" and not isinstance(error, httpx2.ConnectError)
                if heard or not self._answered:
                    raise RemoteError(reason) from error
            else:
                self._answered = True
                if answer.is_success:
                    return answer
                reason = _reason(answer)
                if answer.status_code in _AT_FAULT:
                    raise RemoteRefusal(reason)
                if answer.status_code != _AWAY or _blamed(answer) == "model":
                    raise RemoteError(reason)
            if time.monotonic() > give_up:
                raise RemoteError(reason)
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

    def lines(self, path: str, after: int = 0) -> list[dict[str, Any]]:
        """All of a list that comes in pages, but the first `after`."""
        found: list[dict[str, Any]] = []
        while True:
            start = after + len(found)
            page = self.call("GET", path, params={"after": start, "limit": _PAGE}).json()
            found += page["data"]
            if not page["data"]:  # a page is shorter than asked for where its lines are long
                return found

    def statuses(self, id: str) -> Iterator[ComparisonStatus]:
        """How far a comparison is, again and again, the last time when it is over.

        By server-sent events; whenever these break off, by asking, until they can be had again.
        """
        while True:
            # A server that stops sends an error, which is no status.
            with (
                suppress(httpx2.HTTPError, ValidationError),
                self._http.stream("GET", f"/v1/compare/{id}/events") as events,
            ):
                for line in events.iter_lines() if events.is_success else ():
                    if line == "data: [DONE]":
                        return
                    if line.startswith("data: {"):
                        yield ComparisonStatus.model_validate_json(line.removeprefix("data: "))
            status = self.status(id)
            yield status
            if not status.unfinished:
                return
            time.sleep(1)

    def status(self, id: str) -> ComparisonStatus:
        """How far a comparison is now."""
        return ComparisonStatus.model_validate_json(self.call("GET", f"/v1/compare/{id}").content)


def _known(remote: Remote, path: Path, spec: ComparisonSpec, must_exist: bool) -> str | None:
    """The comparison that the folder is of, gone on with if it was stopped; None if it is of none."""
    if not (path / REMOTE_FILE).exists():
        if must_exist or (path / SPEC_FILE).exists():
            raise ComparisonFolderError(
                f"{path} is not of a comparison on a server; choose another folder, or leave out "
                f"{'--resume' if must_exist else '--url'}."
            )
        return None
    known = read_json(path / REMOTE_FILE)
    if known.get("url") != remote.base:
        raise ComparisonFolderError(
            f"{path} is of a comparison on {known.get('url')}, not on {remote.base}; choose another folder."
        )
    id = str(known.get("id"))
    if parse_spec(remote.call("GET", f"/v1/compare/{id}/spec").json()) != spec:
        raise ComparisonFolderError(
            f"{path} is of comparison {id}, which has another spec; choose another folder, or leave out the "
            "file and the flags to go on with it."
        )
    if remote.status(id).status in ("cancelled", "failed"):
        remote.call("POST", f"/v1/compare/{id}/resume")
    return id


def _submit(remote: Remote, path: Path, spec: ComparisonSpec) -> str:
    _write(path, {})  # a folder that cannot be written is found before the server works for it
    body = spec.model_dump_json().encode()
    headers = {"content-type": "application/json"}
    taken = remote.call("POST", "/v1/compare", content=body, headers=headers, timeout=_SUBMIT_SECONDS)
    id = str(taken.json()["id"])
    _write(
        path,
        {
            SPEC_FILE: spec.model_dump_json(indent=2).encode(),
            REMOTE_FILE: json.dumps({"url": remote.base, "id": id}).encode(),
        },
    )
    return id


def _follow(remote: Remote, id: str, path: Path, live: LiveTable) -> tuple[list[Outcome], ComparisonStatus]:
    """Fetch outcomes as they come, until the comparison is over."""
    outcomes: list[Outcome] = []
    samples: list[LatencySample] = []
    status = None
    with (path / OUTCOMES_FILE).open("wb") as file, (path / LATENCY_FILE).open("wb") as timings:
        for status in remote.statuses(id):
            if status.done > len(outcomes):
                new = remote.lines(f"/v1/compare/{id}/results", after=len(outcomes))
                file.write(_as_lines(new))
                file.flush()
                read = [Outcome.model_validate(each) for each in new]
                if outcomes:
                    for outcome in read:
                        live.outcome(outcome)
                else:
                    live.resume(read, [])  # what was there before we looked tells nothing about the pace
                outcomes += read
            if status.samples_done > len(samples):
                new = remote.lines(f"/v1/compare/{id}/latency", after=len(samples))
                timings.write(_as_lines(new))
                timed = [LatencySample.model_validate(each) for each in new]
                for sample in timed:
                    live.sample(sample)
                samples += timed
    assert status is not None, "there is always a first status"
    return outcomes, status


def _reason(answer: httpx2.Response) -> str:
    """What an answer that is no success says."""
    with suppress(ValueError, KeyError, TypeError):
        return str(answer.json()["error"]["message"])
    return f"{answer.request.url} answers with status {answer.status_code}, and not as demur does"


def _blamed(answer: httpx2.Response) -> str | None:
    """The field that an answer finds fault with, if it names one."""
    with suppress(ValueError, KeyError, TypeError):
        return answer.json()["error"]["param"]
    return None


def _as_lines(records: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(each, ensure_ascii=False).encode() + b"\n" for each in records)


def _write(path: Path, files: dict[str, bytes]) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_atomically(path / name, content)
    except OSError as error:
        raise unusable(path, error) from error
