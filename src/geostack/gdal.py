"""GDAL's settings for reading cloud-optimised files, each with its reason."""

from __future__ import annotations

from typing import Any

GDAL_OPTIONS: dict[str, Any] = {
    # One file is opened, so never list its folder nor probe for .aux.xml, .ovr or .msk beside it:
    # each would be a request that can only fail.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    # A refused or missing file is then one answer, not a search for the same name in upper case.
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.tiff,.TIF,.TIFF",
    # A file's size is asked for by HEAD: the alternative is a GET of the whole file, broken off.
    "CPL_VSIL_CURL_USE_HEAD": "YES",
    # A COG's header, its tile index included, fits here: one request opens a whole-tile band.
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    # Neighbouring blocks come in one request instead of one each.
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    # Several ranges of one file travel on one HTTP/2 connection where the server speaks it.
    "GDAL_HTTP_MULTIPLEX": "YES",
    # Retries are ours (geostack.retry): GDAL's own can neither renew a token nor stop in time.
    "GDAL_HTTP_MAX_RETRY": 0,
    # A server that accepts and then says nothing fails this soon, in seconds.
    "GDAL_HTTP_CONNECTTIMEOUT": 10,
    # Slower than this many bytes a second for this many seconds is a broken connection.
    "GDAL_HTTP_LOW_SPEED_LIMIT": 1000,
    "GDAL_HTTP_LOW_SPEED_TIME": 15,
    # No single request lasts longer, in seconds: neighbouring blocks add up to tens of megabytes.
    "GDAL_HTTP_TIMEOUT": 300,
    # One thread a file: bands are read side by side already, and GDAL's own threads would write
    # their errors, addresses and all, to stderr.
    "GDAL_NUM_THREADS": "1",
}

LOCAL_OPTIONS: dict[str, Any] = {
    name: GDAL_OPTIONS[name] for name in ("GDAL_DISABLE_READDIR_ON_OPEN", "GDAL_NUM_THREADS")
}


def is_remote(href: str) -> bool:
    """Return whether `href` is read over HTTP.

    Examples
    --------
    >>> is_remote("https://store/a.tif"), is_remote("/data/a.tif")
    (True, False)
    """
    return href.startswith(("http://", "https://"))


def gdal_options(href: str) -> dict[str, Any]:
    """Return the settings under which `href` is opened and read.

    Examples
    --------
    >>> gdal_options("/data/a.tif")["GDAL_DISABLE_READDIR_ON_OPEN"]
    'EMPTY_DIR'
    """
    return dict(GDAL_OPTIONS if is_remote(href) else LOCAL_OPTIONS)
