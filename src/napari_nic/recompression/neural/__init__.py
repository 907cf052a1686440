"""Learned codecs: networks whose published weights load, and streams that decode alike on every device.

::

    pixels --analysis--> y --rounded--> symbols --integer tables, constriction--> bytes
    pixels <--synthesis-- y <------------------- symbols <------------------------

Floats make pixels only. What is decoded depends on whole numbers alone: on the stream, and on tables that
were made once and go with the weights. So another device, or another number of threads, decodes the same
symbols.

Public modules: ``nets`` (loads PyTorch), ``coding`` (loads constriction).
"""

from napari_nic.recompression.neural.tables import SymbolTables, frequencies

__all__ = ["SymbolTables", "frequencies"]
