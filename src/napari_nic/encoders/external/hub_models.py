"""Pathology networks on the Hugging Face hub that are released on conditions.

Their hosts give the files only to those who have accepted the terms under their own name, so napari-nic
neither has them nor works around that: it knows what the networks are, so that a file that the user has can
be loaded without a connection.

Licences, conditions and citations are as of writing and may be out of date or incomplete; only those of
H-optimus-0 were compared with a copy of its model card. The model's own page decides, and every text that a
user sees says so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from napari_nic.encoders.external.settings import NORMALISATIONS, Triple
from napari_nic.errors import WeightsError

HUB_PREFIXES = ("hf-hub:", "hf_hub:")
HOME = "https://huggingface.co/"

AS_OF_WRITING = "as of writing; read the model's own page"
"""Said with every licence and citation of this module."""

_MEAN, _STD = NORMALISATIONS["imagenet"]
_SWIGLU = {"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"}


@dataclass(frozen=True)
class HubModel:
    """A network that is released on conditions.

    Attributes
    ----------
    repository : str
        On the hub.
    model : str
        Architecture in timm.
    model_args : mapping
        What timm builds it with; layers by name.
    licence, citation : str
        As of writing; the model's own page decides.
    pooling : str
        That its model card asks for.
    mpp : float
        Resolution that its model card names, um/px.
    """

    repository: str
    model: str
    model_args: Mapping[str, Any]
    licence: str
    citation: str
    pooling: str = "cls"
    mean: Triple = _MEAN
    std: Triple = _STD
    mpp: float = 0.5
    input_size: int = 224

    @property
    def dated_licence(self) -> str:
        """The licence, and that the model's own page decides: for model cards and notices."""
        return f"{self.licence} ({AS_OF_WRITING})"

    @property
    def dated_citation(self) -> str:
        """The citation, and that the model's own page decides: for model cards."""
        return f"{self.citation} ({AS_OF_WRITING})"

    @property
    def terms(self) -> str:
        """What to tell a user before use."""
        return (
            f"{self.repository} is gated: its host gives the weights only to those who accepted its terms "
            f"at {HOME}{self.repository}. Licence: {self.dated_licence}"
        )


_NON_COMMERCIAL = "CC-BY-NC-ND-4.0, gated: research only, no redistribution, of derivatives neither"

HUB_MODELS: Mapping[str, HubModel] = {
    model.repository.lower(): model
    for model in (
        HubModel(
            "MahmoodLab/UNI",
            "vit_large_patch16_224",
            {"img_size": 224, "init_values": 1e-5, "dynamic_img_size": True},
            _NON_COMMERCIAL,
            "Chen et al., Nature Medicine 2024, doi:10.1038/s41591-024-02857-3",
        ),
        HubModel(
            "MahmoodLab/UNI2-h",
            "vit_giant_patch14_224",
            {
                "img_size": 224,
                "depth": 24,
                "num_heads": 24,
                "init_values": 1e-5,
                "embed_dim": 1536,
                "mlp_ratio": 2.66667 * 2,
                "no_embed_class": True,
                "reg_tokens": 8,
                "dynamic_img_size": True,
                **_SWIGLU,
            },
            _NON_COMMERCIAL,
            "Chen et al., Nature Medicine 2024, doi:10.1038/s41591-024-02857-3",
        ),
        HubModel(
            "paige-ai/Virchow2",
            "vit_huge_patch14_224",
            {
                "img_size": 224,
                "init_values": 1e-5,
                "reg_tokens": 4,
                "mlp_ratio": 5.3375,
                "dynamic_img_size": True,
                **_SWIGLU,
            },
            _NON_COMMERCIAL,
            "Zimmermann et al. 2024, arXiv:2408.00738",
            pooling="cls+mean",
        ),
        HubModel(
            "bioptimus/H-optimus-0",
            "vit_giant_patch14_reg4_dinov2",
            {"img_size": 224, "init_values": 1e-5, "dynamic_img_size": False},
            "Apache-2.0, gated",
            "Saillard et al. 2024, github.com/bioptimus/releases",
            mean=(0.707223, 0.578729, 0.703617),
            std=(0.211883, 0.230117, 0.177517),
        ),
        HubModel(
            "prov-gigapath/prov-gigapath",
            "vit_giant_patch14_dinov2",
            {
                "img_size": 224,
                "patch_size": 16,
                "embed_dim": 1536,
                "depth": 40,
                "num_heads": 24,
                "init_values": 1e-5,
                "mlp_ratio": 5.33334,
            },
            "Apache-2.0, gated: research only",
            "Xu et al., Nature 2024, doi:10.1038/s41586-024-07441-w",
        ),
    )
}
"""By repository in lower case."""


def hub_repository(model: str) -> str | None:
    """Return the repository that a timm name points to (``hf-hub:owner/name``), or None."""
    for prefix in HUB_PREFIXES:
        if model.startswith(prefix):
            return model.removeprefix(prefix)
    return None


def known_hub_model(model: str) -> HubModel | None:
    """Return what is known of a timm name (``hf-hub:owner/name``)."""
    repository = hub_repository(model)
    return None if repository is None else HUB_MODELS.get(repository.lower())


@contextmanager
def hub_errors(name: str) -> Iterator[None]:
    """Say what a failed download means."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    known = known_hub_model(name)
    try:
        yield
    except GatedRepoError as error:
        terms = known.terms if known else f"{name} is gated: its host asks you to accept its terms first"
        raise WeightsError(
            terms,
            found=str(error).splitlines()[0],
            hint="accept them on its page and log in with `hf auth login`; or download the file there and "
            "give --weights FILE",
        ) from error
    except (HfHubHTTPError, OSError, RuntimeError, ValueError) as error:
        raise WeightsError(
            f"the weights of {name} cannot be downloaded",
            found=str(error).splitlines()[0] if str(error) else type(error).__name__,
            hint="check the connection; or get the file elsewhere and give --weights FILE.safetensors",
        ) from error


@contextmanager
def offline() -> Iterator[None]:
    """Keep the libraries of the Hugging Face hub from the network, whatever a name makes them do."""
    name = "HF_HUB_OFFLINE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    constants = import_module("huggingface_hub.constants") if find_spec("huggingface_hub") else None
    was = getattr(constants, name, False)
    if constants is not None:
        setattr(constants, name, True)  # it read the environment when it was imported
    try:
        yield
    finally:
        if constants is not None:
            setattr(constants, name, was)
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
