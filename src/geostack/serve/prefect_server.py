"""Prefect's own server, for as long as a `with` block lasts: offline, and nothing left behind."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from geostack.serve.launch import running_module

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
    RuntimeError, TimeoutError
        When its server doesn't come up.
    """
    os.environ["DO_NOT_TRACK"] = "1"
    with tempfile.TemporaryDirectory(prefix="geostack-prefect-") as folder:
        try:
            with patch.dict(os.environ, PREFECT_HOME=folder):
                import prefect.settings as known
        except ImportError as error:
            raise ImportError(
                'an orchestrator needs prefect, not installed: pip install "geostack[serve]"'
            ) from error
        settings = {
            known.PREFECT_HOME: folder,
            known.PREFECT_MEMO_STORE_PATH: f"{folder}/memo_store.toml",
            known.PREFECT_LOCAL_STORAGE_PATH: f"{folder}/storage",
            known.PREFECT_API_DATABASE_CONNECTION_URL: f"sqlite+aiosqlite:///{folder}/prefect.db",
            known.PREFECT_SERVER_ANALYTICS_ENABLED: False,
            known.PREFECT_LOGGING_TO_API_ENABLED: False,
            known.PREFECT_LOGGING_LEVEL: "ERROR",
        }
        server = ("uvicorn", "--factory", "prefect.server.api.server:create_app")
        with known.temporary_settings(updates=settings), _quiet():
            told = known.get_current_settings().to_environment_variables(exclude_unset=True)
            env = {**told, "PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1"}
            with (
                running_module(*server, health="/api/health", seconds=seconds, env=env) as url,
                known.temporary_settings(updates={known.PREFECT_API_URL: f"{url}/api"}),
            ):
                yield f"{url}/api"


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
def _quiet() -> Iterator[None]:
    """Let Prefect's loggers say errors only."""
    names = [name for name in logging.root.manager.loggerDict if f"{name}.".startswith("prefect.")]
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    for logger in levels:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)
