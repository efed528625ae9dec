"""Compiles the native step: `python -m models.native.build`. It takes seconds, and needs a C++ compiler only.

Imports nothing but the standard library, since the package's build runs it too. The library's name holds a
hash of its sources, so that one of other sources is never loaded.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
SOURCES = FOLDER / "source"
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-fvisibility=hidden",
    "-pthread",
    "-fno-math-errno",
    "-ffp-contract=fast",
)

X86_TARGETS = {
    "baseline": (),
    "avx2": ("-mavx2", "-mfma"),
    "avxvnni": ("-mavx2", "-mfma", "-mavxvnni"),
    "avx512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma"),
    "avx512vnni": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mavx512vnni"),
}
"""What `kernels.cpp` is compiled for; the library finds out at run time which of them the processor has."""

YOUNG_TARGETS = ("avxvnni", "avx512vnni")
"""Those that older compilers do not know, named as the processor's feature: they are left out there."""


class BuildError(Exception):
    """The native step could not be compiled."""


def library_path(folder: Path = FOLDER) -> Path:
    """Where the library of these sources is, or would be."""
    digest = sha256()
    for source in sorted((*SOURCES.glob("*.cpp"), *SOURCES.glob("*.h"))):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    suffix = "dylib" if sys.platform == "darwin" else "so"
    return folder / f"libdemur-{digest.hexdigest()[:12]}.{suffix}"


def build(target: Path | None = None) -> Path:
    """Compile the library, unless it is there, and return its path.

    Raises:
        BuildError: there is no compiler, or it failed.
    """
    target = target or library_path()
    if not target.exists():
        static = () if sys.platform == "darwin" else ("-static-libstdc++", "-static-libgcc")
        _compile(target, sorted(SOURCES.glob("*.cpp")), link=("-shared", *static))
    return target


def build_program(target: Path, main: Path, flags: Sequence[str]) -> Path:
    """Compile the sources and a file with `main` into a program; for tests.

    Raises:
        BuildError: there is no compiler, or it failed.
    """
    _compile(target, [*sorted(SOURCES.glob("*.cpp")), main], flags, flags)
    return target


def _compile(
    target: Path, sources: Sequence[Path], flags: Sequence[str] = (), link: Sequence[str] = ()
) -> None:
    compiler = _compiler()
    kernels = _kernel_targets(compiler)
    there = [f"-DDEMUR_HAS_{name.upper()}" for name in kernels]
    with tempfile.TemporaryDirectory() as scratch:
        commands: list[list[str]] = []
        objects: list[str] = []
        for source in sources:
            targets: Mapping[str, Sequence[str]] = {"": ()}
            if source.name == "kernels.cpp":
                targets = kernels
            for name, instructions in targets.items():
                objects.append(f"{scratch}/{source.stem}{name}.o")
                named = [f"-DDEMUR_TARGET={name}"] if name else []
                options = [*FLAGS, *flags, *instructions, *named, *there, f"-I{SOURCES}"]
                commands.append([*compiler, *options, "-c", str(source), "-o", objects[-1]])
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(_run, commands))
        # Whoever loads it meanwhile finds the whole file or none.
        made = Path(f"{target}.{os.getpid()}")
        _run([*compiler, "-pthread", *link, *objects, "-o", str(made)])
        made.replace(target)


def _kernel_targets(compiler: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Those of this machine's kind that the compiler knows."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return {"baseline": ()}
    return {
        name: flags
        for name, flags in X86_TARGETS.items()
        if name not in YOUNG_TARGETS or _knows(compiler, flags, name)
    }


def _knows(compiler: Sequence[str], flags: Sequence[str], feature: str) -> bool:
    program = f'int there() {{ return __builtin_cpu_supports("{feature}"); }}'
    try:
        tried = subprocess.run(
            [*compiler, *flags, "-fsyntax-only", "-x", "c++", "-"],
            input=program,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except OSError:
        return False  # the compiler itself cannot be run, which is told when it has to
    return tried.returncode == 0


def _compiler() -> list[str]:
    """The command of CXX, in a shell's quotes where a path has spaces, or a compiler that is there."""
    try:
        named = shlex.split(os.environ.get("CXX", ""))
    except ValueError as error:
        raise BuildError(f"CXX is {os.environ['CXX']!r}, which is no command: {error}") from error
    found = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if not named and not found:
        raise BuildError("there is no C++ compiler (c++, g++ or clang++); install one, or name one by CXX")
    return named or [str(found)]


def _run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise BuildError(f"{command[0]} cannot be run: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        raise BuildError(f"{' '.join(command)} failed:\n{error.stderr}") from error


if __name__ == "__main__":
    try:
        print(build())  # noqa: T201
    except BuildError as error:
        sys.exit(f"demur: {error}")
