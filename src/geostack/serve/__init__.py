"""Pipelines and map tiles over HTTP, within limits: a FastAPI application from operators.

    from geostack.serve import Pipeline, create_app, running, scene_layer
    colours = Colormap("BrBG", -1.0, 1.0)
    app = create_app(
        pipelines={"ndvi": Pipeline(DNToReflectance() | NDVI(), bands=("B04", "B08"))},
        layers={"ndvi": scene_layer(item, NDVI() | colours, ("B04", "B08"), source)},
    )
    uvicorn.run(app, **geostack.serve.connection.server_options(app))
    # or, in a shell: geostack serve --pipelines FILE.yaml

    with running(app) as url:    # in a notebook or a test, while the block lasts
        requests.get(url + "/pipelines")

Nothing that a request says is ever opened: scenes come from the source that the server was given,
layers from the files that it was given. It needs the extra `serve`.

>>> from geostack.serve import Limits
>>> Limits(max_pixels=1_000_000).seconds
30.0
"""

from geostack.serve.app import create_app
from geostack.serve.launch import running
from geostack.serve.limits import Limits
from geostack.serve.pipeline import Pipeline
from geostack.serve.tiles import Layer, file_layer, scene_layer

__all__ = ["Layer", "Limits", "Pipeline", "create_app", "file_layer", "running", "scene_layer"]
