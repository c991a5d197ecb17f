"""What the JSON body of a request asks for: a scene and a box, and for `POST /run` a pipeline."""

# Apart from those who use it: pydantic takes longer to import than all the rest of the service.
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from geostack.loaders.sentinel2 import check_bands
from geostack.request import as_bbox
from geostack.serve.problem import Problem

_MAX_JSON = 64 << 10


class SceneBox(BaseModel, extra="forbid", strict=True, frozen=True):
    """A scene by its item's id, and a box (west, south, east, north) in degrees.

    An id is compared with those of the source, never used as a path.

    Parameters
    ----------
    item
        The scene's id.
    bbox
        As `geostack.request.as_bbox` takes it.

    Examples
    --------
    >>> SceneBox(item="S2A_X", bbox=(1, 2, 3, 4)).item
    'S2A_X'
    """

    item: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$",
        description="an id of letters, digits, '.', '_' and '-', at most 128",
    )
    bbox: Annotated[tuple[float, ...], AfterValidator(as_bbox)] = Field(
        description="four numbers, in degrees, or six with heights"
    )


class PostedRun(SceneBox, frozen=True):
    """A pipeline as YAML, the bands it is given, and the scene and box they are of.

    Parameters
    ----------
    item, bbox
        As in `SceneBox`.
    yaml
        The pipeline.
    bands
        Names of the bands that it is given.

    Examples
    --------
    >>> PostedRun(item="S2A_X", bbox=(1, 2, 3, 4), yaml="class: NDVI", bands=("B04", "B08")).bands
    ('B04', 'B08')
    """

    yaml: str = Field(description="a text")
    bands: Annotated[tuple[str, ...], AfterValidator(check_bands)] = Field(description="a list")


Asked = TypeVar("Asked", bound=SceneBox)


def parse(body: bytes, kind: type[Asked]) -> Asked:
    """Return what a JSON body asks for; an address, a path or any other key is refused.

    Parameters
    ----------
    body
        JSON.
    kind
        `SceneBox` or `PostedRun`.

    Returns
    -------
    SceneBox or PostedRun

    Raises
    ------
    Problem
        413 for a body of more than 64 KiB, 422 for one that is not of this kind.

    Examples
    --------
    >>> parse(b'{"item": "S2A_X", "bbox": [1, 2, 3, 4]}', SceneBox).bbox
    (1.0, 2.0, 3.0, 4.0)
    """
    if len(body) > _MAX_JSON:
        raise Problem(413, f"a JSON body has at most {_MAX_JSON} bytes")
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        fields = kind.model_fields
        told = [f"the body must be a JSON object of {', '.join(fields)}"]
        for each in error.errors():
            # A key that is not known is not repeated: nothing that a client makes up comes back.
            if each["loc"] and (name := str(each["loc"][0])) in fields:
                told.append(f"{name} is {fields[name].description}: {each['msg']}")
        raise Problem(422, "; ".join(told)[:500]) from None
