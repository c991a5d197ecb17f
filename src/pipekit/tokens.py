"""Access tokens: told from the rest of an address, and kept out of all that a person or file sees.

An address with a token is the same place as without it. So a place is known by what
`without_tokens` leaves, and whatever is shown or written passes `redact`.
"""

from __future__ import annotations

import logging
import re
from urllib.parse import unquote


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SECRETS = _words(
    """
    sig signature token access_token id_token refresh_token session_token sas_token
    apikey api_key api-key x-api-key subscription-key ocp-apim-subscription-key
    x-amz-signature x-amz-credential x-amz-security-token x-goog-signature x-goog-credential
    awsaccesskeyid googleaccessid key-pair-id password accountkey sharedaccesskey client_secret
    account_key secret_access_key aws_secret_access_key aws_session_token
    azure_storage_access_key azure_storage_sas_token
    """
)
"""Parameters that are secret whatever stands beside them."""

_SAS = _words(
    "sv ss srt sp se st spr sr sip si skoid sktid skt ske sks skv saoid suoid scid sdd ses"
)
"""What a signature of Azure covers: part of its token, and no secret by itself."""

_SIGNED = ("x-amz-", "x-goog-")
_BESIDE = frozenset({"expires", "policy"})
"""Part of a token where `signature` is there."""

_END = r"\s'\"<>)"
_AND = r"[?&;#]|%(?:25)*(?:3[Ff]|26|3[Bb]|23)"
_PAIR = re.compile(
    rf"(?P<before>{_AND}|(?<![\w.%-]))"
    rf"(?P<name>(?:(?!{_AND})[\w.%-]){{1,80}}?)"
    rf"(?:(?P<plain>=['\"]?)(?P<value>[^&;#{_END}]*)"
    rf"|(?P<encoded>%(?:25)*3[Dd])(?P<inner>(?:(?!%(?:25)*(?:26|3[Bb]|23))[^&;#{_END}])*))"
)
_FIELD = re.compile(  # also of JSON that is a text within JSON
    rf"(?i)(\\*['\"])({'|'.join(sorted(_SECRETS))})\1(\s*:\s*)(\\*['\"])(?:(?!\4).)*\4"
)
_URL = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]+://|/vsi")
_USER = re.compile(r"(//[^/\s:@'\"<>]*):[^/\s'\"<>]+@")  # a password may hold an @
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_LEAKY_LOGGERS = (
    "fsspec",
    "pystac_client.stac_api_io",
    "rasterio._base",
    "rasterio._env",
    "rasterio._err",
    "rasterio._io",
    "rasterio.env",
    "rasterio.session",
    "urllib3.connectionpool",
    "urllib3.util.retry",
)


def without_query(url: str) -> str:
    """Return a URL without its query and fragment, and without a password before its host.

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
    return _USER.sub(r"\1@", url.split("?", 1)[0].split("#", 1)[0])


def without_tokens(url: str) -> str:
    """Return the place that an address names: without its token, other parameters kept.

    Parameters
    ----------
    url
        An address; the path of a local file comes back as it is.

    Returns
    -------
    The same text where it holds no token.

    Examples
    --------
    >>> without_tokens("https://store/a.tif?versionId=7&se=2024&sig=abc")
    'https://store/a.tif?versionId=7'
    >>> without_tokens("https://me:secret@store/a.tif")
    'https://me@store/a.tif'
    """
    if not _URL.match(url):
        return url
    if "@" in url:
        url = _USER.sub(r"\1@", url)
    place, mark, query = url.partition("?")
    if not mark:
        return url
    parts = query.split("&")
    names = [unquote(part.partition("=")[0]).lower() for part in parts]
    token = {name for name in names if name in _SECRETS or name.startswith(_SIGNED)}
    if not token:
        return url
    if "sig" in token:
        token |= _SAS
    if "signature" in token:
        token |= _BESIDE
    kept = [part for part, name in zip(parts, names, strict=True) if name not in token]
    return f"{place}?{'&'.join(kept)}" if kept else place


def redact(text: str) -> str:
    """Return `text` with the values of tokens replaced, percent-encoded ones too.

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
    >>> redact("/vsicurl?url=https%3A%2F%2Fhost%2Fa.tif%3Fsig%3Dabc")
    '/vsicurl?url=https%3A%2F%2Fhost%2Fa.tif%3Fsig%3D***'
    """
    plain = _FIELD.sub(r"\1\2\1\3\4***\4", _PAIR.sub(_hidden, text))
    return _BEARER.sub(r"\1 ***", _USER.sub(r"\1:***@", plain))


def _hidden(match: re.Match[str]) -> str:
    before, equals = match["before"], match["plain"] or match["encoded"]
    value = match["value"] if match["plain"] else match["inner"]
    name = _decoded(match["name"]).lower()
    in_query = name in _SAS or name in _BESIDE
    if name in _SECRETS or name.startswith(_SIGNED) or (before and in_query):
        return f"{before}{match['name']}{equals}***"
    # Another address may be the value of a parameter.
    return f"{before}{match['name']}{equals}{_PAIR.sub(_hidden, value)}"


def _decoded(name: str) -> str:
    while (plain := unquote(name)) != name:
        name = plain
    return name


def redacted(error: BaseException) -> str:
    """Return what an error says, with the name of its class, without tokens.

    Parameters
    ----------
    error
        Any exception; of one of rasterio's, its cause says what GDAL said.

    Returns
    -------
    One text.

    Examples
    --------
    >>> redacted(OSError("GET /a.tif?sig=abc 403"))
    'OSError: GET /a.tif?sig=*** 403'
    """
    return f"{type(error).__name__}: {redact(str(error.__cause__ or error))}"


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
