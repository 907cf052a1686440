"""Neural Image Compression of whole-slide images, for napari and headless use.

Importing this package loads neither napari, Qt nor torch; each room is imported where it is used
(``from napari_nic.slides import open_slide``).
"""

__version__ = "0.1.0"
