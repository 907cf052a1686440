"""One module per reader. Each opens a file, or says in one sentence why it is none of its own.

Public modules: ``codestreams``, ``jpeg_short``, ``learned_tiles``, ``omezarr_beside``, ``tiff_structure``.
"""
