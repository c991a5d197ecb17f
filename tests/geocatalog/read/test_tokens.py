"""Tokens don't get out."""

import logging

import pytest

from geocatalog.read.tokens import RedactingFilter, redact, without_query

URL = "https://s.blob.core.windows.net/c/B04.tif?st=2024-01-01&se=2024-01-02&sp=rl&sig=a%2Fb%3D"


@pytest.mark.parametrize("text", [URL, f"can't open '{URL}': 403", f"<{URL}>", f"(a {URL})"])
def test_secrets_go_and_the_rest_stays(text):
    clean = redact(text)
    assert "a%2F" not in clean
    assert "2024-01-02" not in clean
    assert "B04.tif" in clean
    assert clean.count("***") == 4
    assert redact(clean) == clean


def test_a_url_without_its_query():
    assert without_query(URL) == "https://s.blob.core.windows.net/c/B04.tif"


def test_filter_keeps_innocent_records():
    record = logging.LogRecord("x", 10, "f", 1, "read %s in %d", ("B04", 3), None)
    assert RedactingFilter().filter(record)
    assert record.args == ("B04", 3)
    record = logging.LogRecord("x", 10, "f", 1, "GET %s", (URL,), None)
    RedactingFilter().filter(record)
    assert "a%2F" not in record.getMessage()
