"""All tools, in the order of the buttons."""

from __future__ import annotations

from napari_nic.plugin.tools.base import Tool
from napari_nic.plugin.tools.brushing import BrushTool, ColorWandTool, EmbeddingWandTool, EraserTool
from napari_nic.plugin.tools.lining import ArrowTool, LineTool, MeasureTool, PointsTool, SplitTool
from napari_nic.plugin.tools.outlining import EllipseTool, FreehandTool, PolygonTool, RectangleTool
from napari_nic.plugin.tools.selecting import SelectTool

TOOLS: tuple[type[Tool], ...] = (
    SelectTool,
    PolygonTool,
    FreehandTool,
    RectangleTool,
    EllipseTool,
    LineTool,
    ArrowTool,
    PointsTool,
    BrushTool,
    EraserTool,
    ColorWandTool,
    EmbeddingWandTool,
    SplitTool,
    MeasureTool,
)

BY_NAME = {tool.name: tool for tool in TOOLS}
