"""Real servers on loopback, over small scenes made for the tests."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny_scenes import make_scene, scene_bbox

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
    """A uvicorn server in a thread."""

    def __init__(self, app: Any, options: dict[str, Any]) -> None:
        import uvicorn

        settings = {"host": "127.0.0.1", "port": 0, "log_level": "critical", "ws": "none"}
        self.server = uvicorn.Server(uvicorn.Config(app, **{**settings, **options}))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        for _ in range(6000):
            if self.server.started:
                break
            time.sleep(0.01)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(60)
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
