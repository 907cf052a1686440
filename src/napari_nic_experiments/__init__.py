"""Experiments of the papers, as recipes that join the rooms of :mod:`napari_nic`.

A package of its own, which comes with the repository and not with the wheel: ``napari-nic experiments`` runs
it where the project is installed from its repository with ``pip install -e``.
"""
