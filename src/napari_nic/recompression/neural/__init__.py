"""Learned codecs: networks whose published weights load, and streams that decode alike on every device.

::

    pixels --g_a--> y --h_a--> z --rounded, tables of each channel--> bytes
                    |          |
                    |          +--h_s, in whole numbers--> scales, means
                    |                                         |
                    +--less its mean, rounded, table of its scale--> bytes

    pixels <--g_s-- y <-- symbols and means <-- bytes

Floats make pixels only. What is decoded depends on whole numbers alone: on the stream, and on tables and
networks in whole numbers that were made once and go with the weights. So another device, or another number
of threads, decodes the same symbols.

Public modules: ``codec``, ``networks``, ``nets`` and ``store`` (load PyTorch), ``coding`` (constriction).
"""

from napari_nic.recompression.neural.tables import SymbolTables, frequencies

__all__ = ["SymbolTables", "frequencies"]
