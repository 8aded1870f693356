"""Faces with and without glasses, drawn with Pillow from a seed: the default dataset, also used by the tests."""

from anteojos.sources.drawing.dataset import JPEG_QUALITY, Row, draw_cell, draw_dataset, draw_row
from anteojos.sources.drawing.face import Face
from anteojos.sources.drawing.geometry import Pose
from anteojos.sources.drawing.portrait import draw_face, draw_portrait

__all__ = ["JPEG_QUALITY", "Face", "Pose", "Row", "draw_cell", "draw_dataset", "draw_face", "draw_portrait", "draw_row"]
