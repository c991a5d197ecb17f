"""No text of ours tells anybody to install a stranger's package."""

import re
import subprocess

from pipekit.lazy import how_to_install

OURS = "geostack|pipekit|geopatcher|geocatalog|geotoolz"
BY_NAME = re.compile(rf"""pip3? install\s+(?:-\S+\s+)*['"`\\]*(?:{OURS})\b""")


def test_the_pattern_tells_a_name_from_a_path():
    assert BY_NAME.search("pip install 'geostack[serve]'")
    assert BY_NAME.search('python -m pip install -U "pipekit"')
    assert BY_NAME.search(r"(`pip install \"geostack[serve]\"`)")
    assert not BY_NAME.search(how_to_install("serve"))
    assert not BY_NAME.search('pip install -e ".[dev]"')


def test_no_hint_installs_by_name(root):
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    names = [name for name in listed.stdout.decode().split("\0") if name]
    assert len(names) > 100
    found = [
        name
        for name in names
        if name != "tests/house/test_hints.py"
        and (root / name).suffix in {".py", ".ipynb", ".md", ".toml", ".yml", ".cff", ""}
        and (root / name).is_file()
        and BY_NAME.search((root / name).read_text("utf-8", errors="replace"))
    ]
    assert not found
