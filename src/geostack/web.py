"""JSON and files from the web, by the one retry policy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocatalog.read.tokens import without_query
from geostack.errors import SourceUnavailableError
from pipekit.files import beside
from pipekit.retry import TRANSIENT_STATUS, GaveUpError, TransientError, retry, retry_after

_TIMEOUT = (5.0, 60.0)
_AGENT = {"User-Agent": "geostack"}


def get_json(url: str, parameters: Mapping[str, Any]) -> Any:
    """Return the JSON that a service answers.

    Raises
    ------
    SourceUnavailableError
        When it doesn't answer, or not with JSON.
    """
    import requests

    def attempt() -> Any:
        try:
            response = requests.get(url, params=parameters, timeout=_TIMEOUT, headers=_AGENT)
        except requests.RequestException as error:
            raise TransientError(type(error).__name__) from None
        check_answer(response, _refusal(response, url))
        return response.json()

    return _patiently(attempt, url)


def download(url: str, path: Path) -> Path:
    """Save what is at a URL as `path`, whole or not at all.

    Raises
    ------
    SourceUnavailableError
        When it can't be had.
    """
    import requests

    def attempt() -> None:
        try:
            with requests.get(url, stream=True, timeout=_TIMEOUT, headers=_AGENT) as response:
                check_answer(response, _refusal(response, url))
                write_atomically(path, response.iter_content(1 << 20))
        except requests.RequestException as error:
            raise TransientError(type(error).__name__) from None

    _patiently(attempt, url)
    return path


def write_atomically(path: Path, pieces: Any) -> int:
    """Write pieces of bytes beside `path` and rename; returns the size in bytes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "a.bin", [b"ab", b"c"])
    3
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with beside(path) as unfinished, unfinished.open("wb") as file:
        return sum(file.write(piece) for piece in pieces)


def check_answer(response: Any, refusal: Exception) -> None:
    """Let a good HTTP answer pass.

    Parameters
    ----------
    response
        Of `requests`.
    refusal
        What to raise for an answer that another try will not change.

    Raises
    ------
    TransientError
        For an answer that may pass, with the seconds that the server asks to wait.
    """
    status = response.status_code
    if status in TRANSIENT_STATUS:
        raise TransientError(f"HTTP {status}", retry_after(response.headers.get("Retry-After")))
    if status >= 400:
        raise refusal


def _refusal(response: Any, url: str) -> SourceUnavailableError:
    return SourceUnavailableError(f"{without_query(url)} answered HTTP {response.status_code}")


def _patiently(attempt: Any, url: str) -> Any:
    try:
        return retry(attempt)
    except GaveUpError as error:
        raise SourceUnavailableError(f"{without_query(url)} did not answer: {error}") from None
    except ValueError as error:
        raise SourceUnavailableError(f"{without_query(url)} answered no JSON: {error}") from None
