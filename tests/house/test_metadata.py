"""Files that other tools read are valid by those tools' own schemas."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCHEMAS = {
    "CITATION.cff": "vendor.citation-file-format",
    ".github/dependabot.yml": "vendor.dependabot",
    **{
        str(path.relative_to(ROOT)): "custom.github-workflows-require-timeout"
        for path in sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    },
    **{
        str(path.relative_to(ROOT)): "vendor.github-issue-forms"
        for path in sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    },
}


@pytest.mark.parametrize(("path", "schema"), SCHEMAS.items())
def test_file_is_valid(path, schema):
    tool = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [tool, "--builtin-schema", schema, ROOT / path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda path: path.name
)
def test_workflow_is_valid_and_asks_for_little(path):
    tool = Path(sys.executable).with_name("check-jsonschema")
    subprocess.run([tool, "--builtin-schema", "vendor.github-workflows", path], check=True)
    workflow = yaml.safe_load(path.read_text("utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            pinned = re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step.get("uses", f"a/b@{0:040}"))
            assert pinned, "a tag can be moved; dependabot renews a commit with its comment"
            assert "${{ github.event" not in step.get("run", ""), "text of others in a shell"


def test_pre_commit_hooks_are_the_tools_of_make():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    for hook in hooks:
        program = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert Path(sys.executable).with_name(program).exists(), hook["id"]


def test_text_files_end_with_one_newline_and_have_no_trailing_space():
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.toml", "*.yml", "*.yaml", "Makefile", ".ci/run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip("needs a git clone")
    untidy = [
        name
        for name in listed.stdout.split()
        if (ROOT / name).exists()
        and (text := (ROOT / name).read_text("utf-8"))
        and (not text.endswith("\n") or text.endswith("\n\n") or re.search(r"[ \t]+$", text, re.M))
    ]
    assert untidy == []
