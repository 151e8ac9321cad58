"""Section of settings: what all of them share, the limits that several use, and markers of how a field is identified.

Markers in a field's annotation say what it means for the run's identity (`core.config.signature`): `NEUTRAL` settings
cannot change a number, `CONTENT` settings are files that enter as a hash of what they hold, `SOURCE` settings are
models, which may be a file, a folder, a package or a name.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Marker:
    """How a field enters the signature of a run."""

    def __init__(self, name: str) -> None:
        self.name = name


NEUTRAL = Marker("neutral")
"""Cannot change a number: left out of the signature."""
CONTENT = Marker("content")
"""A file: enters the signature as the hash of its content, wherever it lies."""
SOURCE = Marker("source")
"""A model: enters as the hash of the folder, file or package that it names, a hub name as name@revision."""
ADDED_LATER = Marker("later")
"""Added after the first release: enters the signature only where it differs from its default."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Probability = Annotated[float, Field(gt=0.0, lt=1.0)]
# 1e38 is about what a number of 32 bits can be.
Positive = Annotated[float, Field(gt=0.0, le=1e38)]
Weight = Annotated[float, Field(ge=0.0, le=1e38)]
Location = Annotated[str, Field(min_length=1, max_length=4_096)]
"""A path, or the name of a model or data set."""
Label = Annotated[str, Field(max_length=1_024)]
TableSize = Annotated[int, Field(ge=2, le=100_000)]
DrawCount = Annotated[int, Field(ge=0, le=100_000)]


class Section(BaseModel):
    """A group of settings: immutable; a setting that it does not have is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
