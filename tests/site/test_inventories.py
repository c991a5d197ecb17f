"""Code leads to other libraries' pages where their sites answer, and to none where they don't."""

import socket
import subprocess
import sys
import threading
import zlib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from stage import ROOT

pytest.importorskip("sphinx", reason="needs the site extra: make site")

LINES = b"numpy.zeros py:function 1 reference/generated/numpy.zeros.html -\n"
INVENTORY = (
    b"# Sphinx inventory version 2\n# Project: NumPy\n# Version: 2\n"
    b"# The remainder of this file is compressed using zlib.\n" + zlib.compress(LINES)
)
ANSWERS = {
    "/numpy/objects.inv": (200, INVENTORY),
    "/login/objects.inv": (200, b"<html>who are you?</html>"),
    "/gone/objects.inv": (404, b""),
}
RENDER = """
import ast, build, pathlib, sys
pages = pathlib.Path(sys.argv[1])
others = ast.literal_eval(sys.argv[2])
sys.exit(build.render(pages, pages / "html", html_favicon=None, intersphinx_mapping=others))
"""


class Sites(BaseHTTPRequestHandler):
    def do_GET(self):
        status, content = ANSWERS[self.path]
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        """Say nothing."""


@contextmanager
def sites():
    """The address of a host of several sites."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Sites) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


@pytest.fixture
def found(tmp_path):
    """What is found of five sites, of which one is well."""
    from inventories import readable

    with sites() as url, socket.create_server(("127.0.0.1", 0)) as silent:
        asked = {name: f"{url}/{name}/" for name in ("numpy", "login", "gone")}
        asked["silent"] = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with socket.create_server(("127.0.0.1", 0)) as closed:
            asked["closed"] = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        return readable(tmp_path / "inventories", asked, seconds=2.0)


def test_only_a_site_that_answers_with_an_inventory_counts(found):
    assert set(found) == {"numpy"}
    address, kept = found["numpy"]
    assert address.endswith("/numpy/")
    with open(kept, "rb") as file:
        assert file.read() == INVENTORY


@pytest.mark.parametrize("online", [True, False])
def test_code_leads_there_and_without_a_network_nothing_is_said(found, tmp_path, online):
    pages = tmp_path / "pages"
    (pages / "docs" / "static").mkdir(parents=True)
    (pages / "docs" / "static" / "site.css").touch()
    (pages / "docs" / "toc.yml").write_text("root: index\n", "utf-8")
    code = "```python\nimport numpy as np\n\nnp.zeros(3)\n```"
    (pages / "index.md").write_text(f"# Start\n\n{code}\n", "utf-8")
    others = found if online else {}
    command = [sys.executable, "-W", "ignore", "-c", RENDER, str(pages), repr(others)]
    done = subprocess.run(command, cwd=ROOT / "docs", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    made = (pages / "html" / "index.html").read_text("utf-8")
    assert (f"{found['numpy'][0]}reference/generated/numpy.zeros.html" in made) is online
