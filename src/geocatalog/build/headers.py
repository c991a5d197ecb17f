"""Read many headers at once: in order, in parallel, with what failed listed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from geocatalog.errors import CatalogError
from geocatalog.paths import stored_path

T = TypeVar("T")

DEFAULT_WORKERS = 32
"""Header reads wait for the disk or the network, not for the processor."""


def read_headers(
    paths: Iterable[Any],
    read: Callable[[str], T],
    *,
    workers: int = DEFAULT_WORKERS,
    on_error: str = "raise",
    progress: bool = True,
) -> tuple[list[T], list[tuple[str, str]]]:
    """Return (results in order, [(path, reason) of the files left out]).

    `on_error="raise"` raises CatalogError that names the file; `"skip"` lists it. The progress
    bar shows on a terminal only, after two seconds.

    >>> def read(path):
    ...     if path.endswith("bad.tif"):
    ...         raise OSError("broken header")
    ...     return len(path)
    >>> read_headers(["/a.tif", "/bad.tif"], read, on_error="skip")
    ([6], [('/bad.tif', 'OSError: broken header')])
    """
    from tqdm import tqdm

    if on_error not in ("raise", "skip"):
        raise CatalogError(f"on_error must be 'raise' or 'skip', got {on_error!r}")
    if workers < 1:
        raise CatalogError(f"workers must be at least 1, got {workers}")
    if isinstance(paths, str | os.PathLike):
        raise CatalogError(
            f"paths must be a list of paths or URLs, got one: {os.fspath(paths)!r}; write [path], "
            "or list a folder's files with sorted(Path(folder).glob('*.tif'))"
        )
    stored = [stored_path(path) for path in paths]
    found: list[T] = []
    skipped: list[tuple[str, str]] = []
    with ThreadPoolExecutor(max_workers=min(workers, max(len(stored), 1))) as pool:
        futures = [pool.submit(read, path) for path in stored]
        bar = tqdm(
            futures, desc="headers", unit="file", disable=None if progress else True, delay=2
        )
        for path, future in zip(stored, bar, strict=True):
            try:
                found.append(future.result())
            except Exception as error:
                if on_error == "raise":
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise _named(path, error) from error
                skipped.append((path, f"{type(error).__name__}: {error}"))
    return found, skipped


def _named(path: str, error: Exception) -> CatalogError:
    if isinstance(error, CatalogError):
        return error
    return CatalogError(
        f"cannot read the header of {path}: {type(error).__name__}: {error}; "
        "pass on_error='skip' to leave such files out"
    )
