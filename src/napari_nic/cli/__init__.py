"""The command line: parsing and printing only; what is done lies in the rooms below.

One module per command, each with ``add_parser`` and a ``run`` function. Nothing heavy is imported before a
command runs, so that ``napari-nic --help`` answers at once.

Public modules: ``arguments``, ``console``, ``encoder_use``, ``interrupt``, ``starting``, ``synthetic``.
"""
