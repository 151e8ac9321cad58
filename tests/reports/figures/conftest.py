"""Every figure is drawn in ACL's column in one face, and in a narrower one in the other."""

from collections.abc import Iterator

import pytest

from reports.figures.style import FigureFormat, house_style

FORMATS = (FigureFormat(), FigureFormat("serif", 2.5))


@pytest.fixture(autouse=True, params=FORMATS, ids=lambda chosen: chosen.font)
def figure_format(request: pytest.FixtureRequest) -> Iterator[FigureFormat]:
    with house_style(request.param):
        yield request.param
