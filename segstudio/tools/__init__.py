"""What the pointer does, without a window: pointer events in image pixels become edits."""

from segstudio.tools.brush import BrushTool, EraserTool
from segstudio.tools.desk import Desk, Options, Pointer, Preview, Tool
from segstudio.tools.draw import (
    CircleTool,
    LassoTool,
    LinestripTool,
    LineTool,
    OrientedRectangleTool,
    PointTool,
    PolygonTool,
    RectangleTool,
)
from segstudio.tools.fill import FillTool
from segstudio.tools.scissors import ScissorsTool
from segstudio.tools.select import SelectTool
from segstudio.tools.smart_box import SmartBoxTool
from segstudio.tools.split import SplitTool
from segstudio.tools.superpixels import SuperpixelsTool
from segstudio.tools.wand import WandTool

TOOLS: dict[str, type[Tool]] = {
    "select": SelectTool,
    "polygon": PolygonTool,
    "lasso": LassoTool,
    "rectangle": RectangleTool,
    "oriented": OrientedRectangleTool,
    "circle": CircleTool,
    "line": LineTool,
    "linestrip": LinestripTool,
    "point": PointTool,
    "brush": BrushTool,
    "eraser": EraserTool,
    "fill": FillTool,
    "split": SplitTool,
    "wand": WandTool,
    "superpixels": SuperpixelsTool,
    "scissors": ScissorsTool,
    "smart_box": SmartBoxTool,
}

__all__ = ["TOOLS", "Desk", "Options", "Pointer", "Preview", "Tool"]
