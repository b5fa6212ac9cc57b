"""Frames as arrays of bytes, so that they can be kept beside other arrays in one bundle."""

from io import BytesIO
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def bytes_of(frame: pl.DataFrame) -> NDArray[np.uint8]:
    """A frame as an Arrow file, (B,) uint8."""
    file = BytesIO()
    # Texts as one buffer: as views they would bring along the history of their chunks, and equal frames differ.
    frame.rechunk().write_ipc(file, compression="zstd", compat_level=pl.CompatLevel.oldest())
    return np.frombuffer(file.getvalue(), np.uint8)


def frame_from(name: str, data_B: NDArray[Any], schema: pl.Schema) -> pl.DataFrame:
    """The frame in an array. Raises ValueError, by `name`, if it has other columns than `schema`."""
    frame = pl.read_ipc(BytesIO(data_B.tobytes()))
    if frame.schema != schema:
        raise ValueError(f"frame {name!r}: expected the columns {schema.names()}, found {frame.columns}")
    return frame
