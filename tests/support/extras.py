"""What pyproject.toml asks for, its extras resolved where one names others."""

import re
import tomllib
from pathlib import Path

PROJECT = tomllib.loads((Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8"))
PROJECT = PROJECT["project"]
OPTIONAL = PROJECT["optional-dependencies"]


def requirements(*extras: str) -> list[str]:
    """Each requirement of these extras, those of others that they name among them."""
    found = []
    for extra in extras:
        for line in OPTIONAL[extra]:
            others = re.fullmatch(rf"{PROJECT['name']}\[(.+)\]", line)
            found += requirements(*others[1].split(",")) if others else [line]
    return found
