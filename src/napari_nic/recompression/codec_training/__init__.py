"""Training of learned codecs on tiles, and of light decoders for them.

::

    tiles --blurred, jittered, mirrored--> network with noise for rounding --> lambda x distortion + rate

Public modules beside this list: ``train``, ``distil``; both load PyTorch.
"""

from napari_nic.recompression.codec_training.recipe import (
    LAMBDAS,
    LOSSES,
    STARTS,
    CodecRecipe,
    DistilRecipe,
    LoadedPatches,
    load_patches,
)

__all__ = ["LAMBDAS", "LOSSES", "STARTS", "CodecRecipe", "DistilRecipe", "LoadedPatches", "load_patches"]
