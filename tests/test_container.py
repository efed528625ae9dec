"""The Dockerfile's own commands, run without a container engine in a clean folder as an unprivileged user.

Each stage becomes a shell script in which the image's absolute paths lie below that folder. What this cannot
show, an image that is built and runs isolated, `make image-test` does where buildah is installed.
"""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

REPOSITORY = Path(__file__).parent.parent
PROBLEM = "Boats are 3 times kites. Kites are 7. How many boats?"
ANSWER = "Answer: 10"
START_LIMIT_S = 120.0
STOP_LIMIT_S = 15.0


@dataclass(frozen=True)
class Instruction:
    """One instruction of a Dockerfile, with its continued lines joined."""

    keyword: str
    rest: str


def parse(text: str) -> list[list[Instruction]]:
    """Return the instructions of each stage, without its FROM and what is before the first."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    stages: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        keyword, rest = line.split(maxsplit=1)
        if keyword == "FROM":
            stages.append([])
        elif stages:
            stages[-1].append(Instruction(keyword, rest))
    return stages


def last(stage: Sequence[Instruction], keyword: str) -> str:
    """Return what the stage's last `keyword` says."""
    return [instruction.rest for instruction in stage if instruction.keyword == keyword][-1]


def exec_form(text: str) -> list[str]:
    """Return the command in the JSON form of ENTRYPOINT, CMD and HEALTHCHECK."""
    return json.loads(text[text.index("[") :])


@dataclass(frozen=True)
class Sandbox:
    """A folder in place of the image's root, and who acts in it (`None`: whoever runs the tests)."""

    root: Path
    uid: int | None
    gid: int | None

    def below(self, text: str) -> str:
        """Move the image's own absolute paths in `text` below the sandbox."""
        return re.sub(r"(?<![\w./])/(?=(?:opt|src|tmp)\b)", f"{self.root}/", text)

    def shell(self, instruction: Instruction) -> str:
        """Return the shell line that does here what the instruction does in a build."""
        rest = self.below(instruction.rest)
        match instruction.keyword:
            case "ARG":
                name, _, default = rest.partition("=")
                return f'export {name}="${{{name}-{default}}}"'
            case "ENV":
                return f"export {rest}"
            case "WORKDIR":
                return f"mkdir -p {rest} && cd {rest}"
            case "COPY" if not rest.startswith("--from="):
                *sources, target = rest.split()
                given = " ".join(f"{self.root}/context/{source}" for source in sources)
                return f"mkdir -p {Path(target).parent} && cp -R {given} {target}"
            case "RUN":
                return rest
            case _:
                return ":"

    def script(self, stage: Sequence[Instruction], command: Sequence[str] = ()) -> list[str]:
        """Return the command line that plays a stage and then becomes `command`."""
        lines = ["set -eu", *(self.shell(instruction) for instruction in stage)]
        if command:
            lines.append(f"exec {shlex.join(self.below(word) for word in command)}")
        return ["/bin/sh", "-c", "\n".join(lines)]

    def popen(self, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
        """Start a command as the sandbox's user, with all it says going to `log`."""
        kept = {
            name: value for name, value in os.environ.items() if re.match(r"PIP_|SSL_|TORCH_INDEX$", name)
        }
        with log.open("ab") as output:
            return subprocess.Popen(
                arguments,
                cwd=self.root,
                env={"TORCH_INDEX": "", "COMPILER": ""} | kept | {"PATH": f"{self.root}/base:/usr/bin:/bin"},
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else [],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )


def usable_python(uid: int | None) -> Path | None:
    """Return a Python 3.11 or newer, with venv and pip, that the user `uid` may run."""
    for candidate in (
        Path(sys.executable).resolve(),
        Path("/usr/local/bin/python3.11"),
        Path("/usr/bin/python3.11"),
    ):
        try:
            subprocess.run(
                [candidate, "-c", "import ensurepip, venv"],
                user=uid,
                check=True,
                capture_output=True,
                cwd="/",
            )
        except (OSError, subprocess.CalledProcessError):
            continue
        return candidate
    return None


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An empty folder with the build context, owned by the Dockerfile's user when the tests run as root."""
    uid, gid = (int(number) for number in last(parse(dockerfile())[-1], "USER").split(":"))
    root = Path(tempfile.mkdtemp(prefix="demur-image-"))  # pytest's own folders are closed to other users
    sandbox = Sandbox(root, uid, gid) if os.geteuid() == 0 else Sandbox(root, None, None)
    python = usable_python(sandbox.uid)
    if python is None:
        pytest.skip("no Python 3.11 with venv that an unprivileged user may run")
    (root / "base").mkdir()
    (root / "base/python").symlink_to(python)
    (root / "tmp").mkdir()
    tracked = ["git", "-C", str(REPOSITORY), "ls-files", "-z"]
    for name in subprocess.run(tracked, check=True, capture_output=True, text=True).stdout.split("\0"):
        if (REPOSITORY / name).is_file():
            (root / "context" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, root / "context" / name)
    if sandbox.uid is not None and sandbox.gid is not None:
        for path in (root, *root.rglob("*")):
            os.chown(path, sandbox.uid, sandbox.gid, follow_symlinks=False)
    yield sandbox
    shutil.rmtree(root)


def dockerfile() -> str:
    """Return the text of the Dockerfile."""
    return (REPOSITORY / "Dockerfile").read_text()


def free_port() -> int:
    """Return a TCP port of loopback that nothing listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def close(folder: Path) -> None:
    """Take the permission to write from every file and folder below `folder`."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)


@pytest.mark.slow
@pytest.mark.artifact
@pytest.mark.timeout(1500)
def test_the_dockerfile_installs_and_starts_a_healthy_server(sandbox: Sandbox, tmp_path: Path) -> None:
    build, final = parse(dockerfile())
    log = tmp_path / "log"

    installed = sandbox.popen(sandbox.script(build), log).wait()
    assert installed == 0, log.read_text()[-4000:]
    close(sandbox.root / "opt")

    port = free_port()
    setting = ["env", f"DEMUR_PORT={port}"]
    start = [*setting, *exec_form(last(final, "ENTRYPOINT")), *exec_form(last(final, "CMD"))]
    check = [*setting, *exec_form(last(final, "HEALTHCHECK"))]
    server = sandbox.popen(sandbox.script(final, start), log)
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while sandbox.popen(sandbox.script(final, check), tmp_path / "health").wait() != 0:
            assert server.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < deadline, (
                log.read_text()[-4000:] + (tmp_path / "health").read_text()[-2000:]
            )
            time.sleep(0.5)

        answer = httpx2.post(
            f"http://127.0.0.1:{port}/v1/completions",
            json={"prompt": PROBLEM, "max_tokens": 64, "temperature": 0, "signals": ["entropy"]},
        )
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["text"].endswith(ANSWER)
    finally:
        server.terminate()
        server.wait(STOP_LIMIT_S)
