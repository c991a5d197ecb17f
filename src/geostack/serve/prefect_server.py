"""Prefect's own server, for as long as a `with` block lasts: offline, and nothing left behind."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geostack.serve.launch import free_port

__all__ = ["prefect_server", "task_runs"]

_FINAL = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


@contextmanager
def prefect_server(seconds: int = 300) -> Iterator[str]:
    """Run flows of this block against a Prefect server on this machine; yield its API's address.

    Server, database and results live in a temporary folder and a process of their own, on a free
    loopback port; nothing is logged below an error. Starting takes Prefect about ten seconds, most
    of them for its database.

    Prefect reports home as soon as it is imported, unless DO_NOT_TRACK is set: this sets it, for
    the rest of the process. So import Prefect inside the block:

        with prefect_server():
            from prefect import flow
            flow(function)()

    Parameters
    ----------
    seconds
        How long starting may take.

    Yields
    ------
    str
        The address of the server's API.

    Raises
    ------
    ImportError
        Naming the extra when Prefect isn't installed.
    RuntimeError
        When its server doesn't come up.
    """
    os.environ["DO_NOT_TRACK"] = "1"
    with tempfile.TemporaryDirectory(prefix="geostack-prefect-") as folder, _home(folder):
        try:
            import prefect.settings as known
            from prefect.server.api.server import SubprocessASGIServer
        except ImportError as error:
            raise ImportError(
                'an orchestrator needs prefect, not installed: pip install "geostack[serve]"'
            ) from error
        home = Path(folder)
        settings = {
            known.PREFECT_HOME: home,
            known.PREFECT_MEMO_STORE_PATH: home / "memo_store.toml",
            known.PREFECT_LOCAL_STORAGE_PATH: home / "storage",
            known.PREFECT_API_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{home}/prefect.db",
            known.PREFECT_SERVER_ANALYTICS_ENABLED: False,
            known.PREFECT_LOGGING_TO_API_ENABLED: False,
            known.PREFECT_LOGGING_LEVEL: "ERROR",
        }
        with known.temporary_settings(updates=settings), _quiet("prefect"):
            server = SubprocessASGIServer(port=free_port())
            try:
                server.start(timeout=seconds)
                with known.temporary_settings(updates={known.PREFECT_API_URL: server.api_url}):
                    yield server.api_url
            finally:
                server.stop()


def task_runs(api: str, *, seconds: float = 30.0) -> list[dict[str, Any]]:
    """Return what a Prefect server knows of each task run, once all of them have ended.

    A flow returns before its server has written down the last state of its tasks.

    Parameters
    ----------
    api
        As `prefect_server` yields it.
    seconds
        How long to wait for that.

    Returns
    -------
    list of dict
        Each task run as Prefect's API tells it: `state_type`, `run_count` and more.

    Raises
    ------
    TimeoutError
        When a task run hasn't ended by then.
    """
    import requests

    ends = time.monotonic() + seconds
    while True:
        answer = requests.post(f"{api}/task_runs/filter", json={}, timeout=10)
        answer.raise_for_status()
        runs: list[dict[str, Any]] = answer.json()
        if all(run["state_type"] in _FINAL for run in runs):
            return runs
        if time.monotonic() > ends:
            raise TimeoutError(f"not every task run had ended after {seconds:g} s")
        time.sleep(0.2)


@contextmanager
def _home(folder: str) -> Iterator[None]:
    """Point Prefect to a folder while it is imported and its server starts."""
    before = os.environ.get("PREFECT_HOME")
    os.environ["PREFECT_HOME"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["PREFECT_HOME"]
        else:
            os.environ["PREFECT_HOME"] = before


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Let a logger and those under it say errors only."""
    loggers = [
        logging.getLogger(each)
        for each in (name, *logging.root.manager.loggerDict)
        if each == name or each.startswith(f"{name}.")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
