"""Install the clone with one of its extras, and say what happens meanwhile.

`python tools/install.py dev --python .venv/bin/python [--log FILE] [REQUIREMENT ...]`

Before it starts it says about how much is to be downloaded; then it names each
package with its size as it comes, and how many are being unpacked. pip's own words go to the log,
whose end is shown when pip fails. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# extra: what pip downloads for it after those before it, measured on Linux with an empty cache.
DOWNLOAD = {
    "labelled": "some 20 MB",
    "vector": "some 5 MB",
    "indices": "some 10 MB",
    "learn": "some 15 MB",
    "dask": "some 10 MB",
    "plot": "some 20 MB",
    "maps": "some 45 MB",
    "onnx": "some 20 MB",
    "torch": "some 200 MB with PyTorch's build for CPUs, 3 GB with the one for CUDA",
    "store": "some 10 MB",
    "all": "some 600 MB with PyTorch's build for CPUs, 3 GB with the one for CUDA",
    "dev": "some 500 MB",
    "serve": "some 270 MB",
    "recipes": "some 470 MB with PyTorch's build for CPUs, 3 GB with the one for CUDA",
    "site": "some 90 MB",
    "bench": "some 300 MB with PyTorch's build for CPUs, 3 GB with the one for CUDA",
}

_GOT = re.compile(r"^\s*(?:Downloading|Using cached) (\S+)(?: \(([^)]*)\))?")
_WIDTH = 96


def main(arguments: list[str] | None = None) -> int:
    """Install what the arguments name; return pip's exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("extra", choices=DOWNLOAD)
    parser.add_argument("requirements", nargs="*", help="further requirements, such as a pin")
    parser.add_argument("--python", default=sys.executable, help="the environment's interpreter")
    parser.add_argument("--log", type=Path, help="where pip's own output goes")
    asked = parser.parse_intermixed_args(arguments)  # the pin stands after the options
    wanted = ["--editable", f"{ROOT}[{asked.extra}]", *asked.requirements]
    print(
        f"installing geostack[{asked.extra}]: {DOWNLOAD[asked.extra]} to download where nothing "
        "is cached; the first time takes minutes",
        flush=True,
    )
    uv = shutil.which("uv")
    if uv:
        return subprocess.run([uv, "pip", "install", "--python", asked.python, *wanted]).returncode
    began = time.perf_counter()
    command = [asked.python, "-u", "-m", "pip", "install", "--disable-pip-version-check"]
    command += ["--no-input", "--progress-bar", "off", *wanted]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        lines: list[str] = []
        for word in told(_kept(pip.stdout, lines)):
            print(word, end="", flush=True)
    if asked.log is not None:
        asked.log.write_text("".join(lines), encoding="utf-8")
    if pip.returncode:
        print("\n" + "".join(lines[-8:]), end="", file=sys.stderr)
        print(f"pip failed; its whole log: {asked.log or 'give --log FILE'}", file=sys.stderr)
    else:
        print(f"done in {time.perf_counter() - began:.0f} s", flush=True)
    return pip.returncode


def told(lines: Iterable[str]) -> Iterator[str]:
    """Yield what to print for pip's lines: names and sizes, wrapped, then what is unpacked.

    Examples
    --------
    >>> lines = ["Collecting six", "  Downloading six-1.17.0-py3-none-any.whl (11 kB)",
    ...          "Installing collected packages: six, numpy"]
    >>> print("".join(told(lines)))
      six 11 kB
      unpacking 2 packages ...
    """
    column = 0
    for line in lines:
        got = _GOT.match(line)
        if got and not got[1].endswith(".metadata"):
            word = f"{got[1].split('-')[0]} {got[2] or ''}".strip()
            if column + len(word) > _WIDTH:
                column = 0
                yield ",\n"
            yield f"  {word}" if column == 0 else f", {word}"
            column += len(word) + 2
        elif line.startswith("Installing collected packages:"):
            count = line.count(",") + 1
            yield ("\n" if column else "") + f"  unpacking {count} packages ... "


def _kept(lines: Iterable[str], into: list[str]) -> Iterator[str]:
    for line in lines:
        into.append(line)
        yield line


if __name__ == "__main__":
    sys.exit(main())
