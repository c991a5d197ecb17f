"""Keep access tokens out of everything a person or a file gets to see."""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(
    r"(?i)(?<=[?&])(sig|sv|se|st|sp|sr|skoid|sktid|skt|ske|sks|skv|token|subscription-key)=[^&\s'\"<>)]*"
)
_LEAKY_LOGGERS = (
    "pystac_client.stac_api_io",
    "rasterio._base",
    "rasterio._env",
    "rasterio._err",
    "rasterio._io",
    "rasterio.env",
    "rasterio.session",
    "urllib3.connectionpool",
)


def without_query(url: str) -> str:
    """Return a URL without its query and fragment, where tokens live.

    Parameters
    ----------
    url
        A URL or a path.

    Returns
    -------
    The part before "?" and "#".

    Examples
    --------
    >>> without_query("https://store/a.tif?se=2024&sig=abc")
    'https://store/a.tif'
    """
    return url.split("?", 1)[0].split("#", 1)[0]


def redact(text: str) -> str:
    """Return `text` with the values of token parameters replaced.

    Parameters
    ----------
    text
        Any text, with or without URLs.

    Returns
    -------
    The text, safe to show.

    Examples
    --------
    >>> redact("GET /a.tif?v=2&sig=abc%2F HTTP/1.1")
    'GET /a.tif?v=2&sig=*** HTTP/1.1'
    """
    return _SECRET.sub(lambda match: f"{match.group(1)}=***", text)


class RedactingFilter(logging.Filter):
    """A logging filter that redacts the message and its arguments."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact `record` in place; every record passes.

        Parameters
        ----------
        record
            What is being logged.

        Returns
        -------
        True.
        """
        message = record.getMessage()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        return True


_FILTER = RedactingFilter()


def guard_logs() -> None:
    """Redact the loggers of the libraries that write whole URLs at debug level.

    Examples
    --------
    >>> guard_logs()
    >>> _FILTER in logging.getLogger("urllib3.connectionpool").filters
    True
    """
    for name in _LEAKY_LOGGERS:
        logging.getLogger(name).addFilter(_FILTER)
