"""The table of formats, and its copy in the documentation."""

from __future__ import annotations

from pathlib import Path

import napari_nic
from napari_nic.annotations import FORMATS, writable_formats
from napari_nic.annotations.carrying import COLOURS, FEATURES
from napari_nic.annotations.format_table import CARRIED, LOST, READ_ONLY, format_table, markdown_table

DOCS = Path(napari_nic.__file__).parents[2] / "docs"


def test_the_documentation_has_the_table_as_it_is():
    assert markdown_table() in (DOCS / "formats.md").read_text("utf-8")


def test_a_row_a_format_and_a_cell_a_feature():
    header, rows = format_table()
    assert [row[1] for row in rows] == list(FORMATS)
    assert all(len(row) == len(header) for row in rows)
    assert {row[1] for row in rows if READ_ONLY not in row} == set(writable_formats())
    by_name = {row[1]: dict(zip(header, row, strict=True)) for row in rows}
    assert by_name["geojson"]["holes"] == CARRIED
    assert by_name["asap"]["holes"] == LOST
    assert by_name["ndpa"]["counts in"] == "whole nm from the middle of the glass"


def test_formats_name_features_that_there_are():
    for name in FORMATS:
        assert set(FORMATS.get(name).instead) <= {*FEATURES, COLOURS}, name
