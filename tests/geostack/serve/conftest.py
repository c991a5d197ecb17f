"""Real servers on loopback, over small scenes made for the tests."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_scenes import make_scene, scene_bbox
from waiting import until

from geostack.sources.archive import ArchiveSource

ITEM = "S2B_MSIL2A_20240614T183919_R070_T10SGJ_20240614T225657"


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> ArchiveSource:
    """An archive of one scene, 512 x 512 pixels."""
    root = tmp_path_factory.mktemp("scenes")
    make_scene(root, ITEM)
    return ArchiveSource([root])


@pytest.fixture(scope="session")
def box() -> list[float]:
    """A box well inside the scene."""
    return list(scene_bbox(inset=1_500))


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Start an application with uvicorn on a free port; return its address."""
    started: list[Any] = []

    def start(app: Any, **options: Any) -> str:
        server = Running(app, options)
        started.append(server)
        return server.url

    yield start
    for server in started:
        server.stop()


class Running:
    """A uvicorn server in a thread.

    The time of one that is `still` stands until the test lets it pass: on the slowest machine no
    deadline is over before that, and every one is after it.
    """

    def __init__(self, app: Any, options: dict[str, Any], still: bool = False) -> None:
        import uvicorn

        settings = {"host": "127.0.0.1", "port": 0, "log_level": "critical", "ws": "none"}
        self.server = uvicorn.Server(uvicorn.Config(app, **{**settings, **options}))
        self.still, self.passed, self.goes_on = still, 0.0, 0.0
        run = (lambda: asyncio.run(self._serve())) if still else self.server.run
        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()
        until(lambda: self.server.started, "the server has started")
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.time = self._time
        await self.server.serve()

    def _time(self) -> float:
        return self.passed + (0.0 if self.still else time.monotonic() - self.goes_on)

    def let_pass(self, seconds: float) -> None:
        """Let time pass, and return when the server has seen what is due."""
        seen = threading.Event()

        def go_on() -> None:  # between two steps of the server, each of which has one time
            self.passed += seconds
            self.loop.call_soon(self.loop.call_soon, seen.set)

        self.loop.call_soon_threadsafe(go_on)
        assert seen.wait(300)

    @property
    def connections(self) -> set[Any]:
        """The connections that are open."""
        return self.server.server_state.connections

    def stop(self) -> None:
        """Finish what is under way, and end; its time goes on."""
        if self.still:
            self.goes_on, self.still = time.monotonic(), False
            self.loop.call_soon_threadsafe(int)
        self.server.should_exit = True
        self.thread.join(300)
        assert not self.thread.is_alive()


@pytest.fixture(scope="session")
def running() -> type[Running]:
    """The server class, for tests that stop it themselves."""
    return Running


@pytest.fixture
def upload(tmp_path: Path) -> Callable[..., bytes]:
    """Bytes of a small GeoTIFF."""
    import numpy as np
    import rasterio
    from rasterio.transform import from_origin

    def make(values: Any = None, names: tuple[str, ...] = (), **profile: Any) -> bytes:
        layers = np.full((2, 8, 8), 1000, "uint16") if values is None else np.asarray(values)
        settings = {
            "driver": "GTiff",
            "count": layers.shape[0],
            "height": layers.shape[1],
            "width": layers.shape[2],
            "dtype": layers.dtype,
            "crs": "EPSG:32610",
            "transform": from_origin(750_000, 4_350_000, 10, 10),
            **profile,
        }
        path = tmp_path / "upload.tif"
        with rasterio.open(path, "w", **settings) as file:
            file.write(layers)
            for number, name in enumerate(names, start=1):
                file.set_band_description(number, name)
        return path.read_bytes()

    return make
