"""A simulation of the areas that the notebooks use: ground truth, light, weather and sensor.

Scenes are written as Sentinel-2 scenes are, on the true grid of their tile, with STAC items that
say they are simulated. Nothing here is a measurement of the world.

>>> AREAS["lake-tahoe"].tiles
('10SGJ',)
"""

from .scenes import AREAS, VERSION, Scene, SimulatedArea, simulated_scenes

__all__ = ["AREAS", "VERSION", "Scene", "SimulatedArea", "simulated_scenes"]
