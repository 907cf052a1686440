"""What the plugin decides, without Qt: plain classes that take a viewer model, a runner and dialogs.

They know layers (``napari.components.ViewerModel`` is enough), never widgets. What changed they tell by
psygnal signals; questions to the user go through :class:`~napari_nic.plugin.controllers.asking.Asking`.
"""
