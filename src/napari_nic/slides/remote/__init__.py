"""Slides in the network: read by ranges where the format allows it, else copied ahead.

Nothing is fetched unless the user gives an address, and no address in a file is ever followed.
"""

from napari_nic.slides.remote.places import path_for, remote_of
from napari_nic.slides.remote.streams import binary_stream, size_of

__all__ = ["binary_stream", "path_for", "remote_of", "size_of"]
