"""Others' networks as encoders: timm models, TorchScript, torch.export and ONNX files.

::

    file + sidecar JSON --sidecar-->  Settings --+
    timm:<name> + weights --timm_models--------- +--importing--> folder among the user's encoders
    tiles --projection (optional)----------------+                    |
                                                          loading.open_network, when it is used
                                                                      v
    uint8 patches -> (x / 255 - mean) / std -> network -> pooling -> [projection] -> codes (B, C)

An imported encoder is a folder like those of the package; what determines its codes besides the weights
stands in ``EncoderSpec.options``:

===================  ========================================================================================
``mean``, ``std``    of red, green and blue, for pixels scaled to [0, 1]
``pooling``          ``auto``, ``cls``, ``mean`` or ``cls+mean``, see :mod:`.pooling`
``prefix_tokens``    tokens before those of the patches (class and registers)
``model``, ``model_args``  what timm builds
``output``           name of the output of an ONNX file that has several
``files``            further files that the model's file refers to, with their SHA-256
``projection``       a linear map behind the network, see :mod:`.projection`
===================  ========================================================================================

Importing this package loads neither PyTorch nor any of the optional libraries.

Public modules beside this list: ``file_models``, ``network_encoder``, ``notices``, ``onnx_files``,
``programs``, ``timm_models``, ``trust``.
"""

from napari_nic.encoders.external.importing import (
    ARCHITECTURES,
    import_encoder,
    import_model_file,
    import_timm,
)
from napari_nic.encoders.external.projection import PCA_PATCHES
from napari_nic.encoders.external.settings import (
    NORMALISATIONS,
    GivePatches,
    ProjectionRequest,
    Settings,
    TimmWeights,
)

__all__ = [
    "ARCHITECTURES",
    "NORMALISATIONS",
    "PCA_PATCHES",
    "GivePatches",
    "ProjectionRequest",
    "Settings",
    "TimmWeights",
    "import_encoder",
    "import_model_file",
    "import_timm",
]
