"""The napari plugin: readers, layers, worker, controllers without Qt, thin widgets.

The only room that knows napari and Qt. Data flows from the core's values to layers
(:mod:`~napari_nic.plugin.layers`), decisions are taken in :mod:`~napari_nic.plugin.controllers`, threads are
started in :mod:`~napari_nic.plugin.worker`, and :mod:`~napari_nic.plugin.widgets` only shows and asks.

Public modules: ``launch``.
"""
