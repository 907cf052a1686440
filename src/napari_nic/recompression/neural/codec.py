"""A learned codec: pixels to streams and back, with all that decoding needs in whole numbers.

For those who build on it::

    net = make_network("mbt2018-mean", 128, 192)          # training: net(x) -> Coded(pixels, likelihoods),
    ...                                                   # net.aux_loss()
    codec = freeze(net, pixels=sample)                    # now its symbols decode alike everywhere
    streams = codec.encode(pixels)                        # uint8 (n, h, w, 3) -> list of bytes
    pixels = codec.decode(streams, (h, w))                # uint8 (n, h, w, 3)
    y = codec.latents(streams, (h, w))                    # what the synthesis is given: exactly the same
    everywhere pixels = codec.pixels(y, (h, w), synthesis=light)     # another synthesis of the same symbols

Pictures of any size: edge pixels are repeated to the right and below, up to multiples of the network's
factor, and cropped again.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from napari_nic.device import choose_device, choose_precision
from napari_nic.errors import InvalidParameterError, WeightsError
from napari_nic.recompression.neural.arrays import arrays_of, digest
from napari_nic.recompression.neural.freezing import check_pixels, make_model
from napari_nic.recompression.neural.models import SymbolModel, latents_as_floats
from napari_nic.recompression.neural.nets import STEP, CompressionNet, FactorizedPrior
from napari_nic.recompression.neural.networks import NETWORKS
from napari_nic.recompression.neural.streams import read_tiles, write_tiles
from napari_nic.recompression.neural.weights import encoder_arrays, synthesis_arrays

MOST_SIDE = 8192
"""Pixels along a side of a tile."""

_BATCH_PIXELS = 1 << 20


@dataclass(frozen=True)
class CodecDescription:
    """What a codec is, without its weights.

    Attributes
    ----------
    network : str
        One of :data:`~napari_nic.recompression.neural.networks.NETWORKS`.
    filters, channels : int
        N and M.
    symbols_sha256 : str
        Of all that decides how streams decode to symbols, whole numbers: streams decode by no other.
    decoder_sha256 : str
        Of the synthesis' weights.
    encoder_sha256 : str
        Of all other weights.
    """

    network: str
    filters: int
    channels: int
    symbols_sha256: str
    decoder_sha256: str
    encoder_sha256: str

    @property
    def factor(self) -> int:
        """Sides are padded to multiples of it."""
        return NETWORKS.get(self.network).factor


class NeuralCodec:
    """A learned codec; :func:`freeze` makes it of a network, ``store`` reads it from a folder.

    Parameters
    ----------
    description : CodecDescription
    model : SymbolModel
    synthesis : Module
        y (B, M, h/16, w/16) to pixels (B, 3, h, w).
    net : CompressionNet, optional
        The whole network; without it the codec only decodes.
    """

    def __init__(
        self,
        description: CodecDescription,
        model: SymbolModel,
        synthesis: nn.Module,
        net: CompressionNet | None = None,
    ) -> None:
        self.description, self.model, self.net = description, model, net
        self.synthesis = synthesis.eval()
        self.device, self.precision = "cpu", "float32"

    def to(self, device: str = "auto", precision: str = "auto") -> NeuralCodec:
        """Return the codec for another device.

        Parameters
        ----------
        device : str
            See :func:`~napari_nic.device.choose_device`.
        precision : str
            Of the synthesis: ``"float32"``, ``"bfloat16"`` or ``"auto"``, which changes pixels by rounding.
        """
        moved = NeuralCodec(self.description, self.model, copy.deepcopy(self.synthesis))
        moved.device = choose_device(device)
        moved.precision = choose_precision(precision, moved.device)
        moved.synthesis.to(moved.device, getattr(torch, moved.precision))
        if self.net is not None:
            moved.net = copy.deepcopy(self.net).to(moved.device)
        return moved

    def encode(self, pixels: npt.NDArray[np.uint8]) -> list[bytes]:
        """Encode tiles.

        Parameters
        ----------
        pixels : ndarray of uint8, (n, h, w, 3)

        Returns
        -------
        list of bytes
            One stream a tile; it does not hold the tile's size.

        Raises
        ------
        InvalidParameterError
            If these are no pixels, or the tiles are too large.
        WeightsError
            If the codec only decodes, or its network gives what are no numbers.
        """
        check_pixels(pixels)
        shape = _checked_shape(pixels.shape[1:3])
        streams: list[bytes] = []
        for part in _batches(len(pixels), shape):
            latents = self._analysed(pixels[part])
            streams += write_tiles(self.model, latents, self._seed(shape))[0]
        return streams

    def latents(self, streams: Sequence[bytes], shape: tuple[int, int]) -> torch.Tensor:
        """Decode streams to what the synthesis is given.

        Parameters
        ----------
        streams : sequence of bytes
        shape : (int, int)
            Rows and columns of the tiles, pixels.

        Returns
        -------
        Tensor of float32, (n, M, rows, columns)
            Of the padded tiles; the same numbers on every machine.

        Raises
        ------
        DamagedSlideError
            If a stream is damaged, or of another codec or size.
        """
        found = read_tiles(self.model, streams, self._places(shape), self._seed(shape))
        return torch.from_numpy(latents_as_floats(found))

    @torch.inference_mode()
    def pixels(
        self, latents: torch.Tensor, shape: tuple[int, int], synthesis: nn.Module | None = None
    ) -> npt.NDArray[np.uint8]:
        """Synthesise pixels.

        Parameters
        ----------
        latents : Tensor of float32, (n, M, rows, columns)
        shape : (int, int)
            Rows and columns of the tiles, pixels.
        synthesis : Module, optional
            Another one, that takes the same; it must be where and of what precision it can be called with
            float32 of the codec's device. By default the codec's own.

        Returns
        -------
        ndarray of uint8, (n, h, w, 3)
        """
        if synthesis is None:
            own = self.synthesis(latents.to(self.device, getattr(torch, self.precision)))
        else:
            own = synthesis(latents.to(self.device))
        whole = (own[:, :, : shape[0], : shape[1]].float().clamp(0, 1) * 255).round().to(torch.uint8)
        return np.ascontiguousarray(whole.permute(0, 2, 3, 1).cpu().numpy())

    def decode(self, streams: Sequence[bytes], shape: tuple[int, int]) -> npt.NDArray[np.uint8]:
        """Decode tiles; see :meth:`latents` and :meth:`pixels`."""
        found = np.empty((len(streams), *_checked_shape(shape), 3), np.uint8)
        for part in _batches(len(streams), shape):
            found[part] = self.pixels(self.latents(streams[part], shape), shape)
        return found

    def trained_net(self) -> CompressionNet:
        """Return the whole network, which encodes and can be trained.

        Raises
        ------
        WeightsError
            If the codec came without the weights of its encoder.
        """
        if self.net is None:
            raise WeightsError(
                "this codec only decodes: it came without the weights of its encoder",
                hint="load it from the folder that holds encoder.safetensors too",
            )
        return self.net

    @torch.inference_mode()
    def _analysed(self, pixels: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.float32]]:
        net = self.trained_net()
        x = torch.from_numpy(_padded(pixels, self.description.factor)).to(self.device)
        y = net.g_a(x.permute(0, 3, 1, 2).float() / 255)
        found = {"y": y}
        if not isinstance(net, FactorizedPrior):
            found["z"] = net.hyper_analysis(y)
        return {name: value.cpu().numpy() for name, value in found.items()}

    def _places(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of y."""
        factor = self.description.factor
        rows, columns = (-(-side // factor) * factor // STEP for side in _checked_shape(shape))
        return rows, columns

    def _seed(self, shape: tuple[int, int]) -> bytes:
        sides = (side.to_bytes(4, "little") for side in shape)
        return bytes.fromhex(self.description.symbols_sha256) + b"".join(sides)


def freeze(net: CompressionNet, pixels: npt.NDArray[np.uint8] | None = None) -> NeuralCodec:
    """Make a codec of a network that is trained.

    Parameters
    ----------
    net : CompressionNet
        It is copied; train on and freeze again at will, but streams belong to one codec.
    pixels : ndarray of uint8, (n, h, w, 3), optional
        A few pictures like those that will be coded: they fix the ranges of the networks in whole numbers.

    Raises
    ------
    WeightsError
        If the weights give no codec.
    """
    if pixels is not None:
        check_pixels(pixels)
        pixels = _padded(pixels, net.factor)
    own = copy.deepcopy(net).float().cpu().eval()
    if not all(torch.isfinite(value).all() for value in own.state_dict().values()):
        raise WeightsError("this network holds weights that are no numbers", hint="train it again")
    model = make_model(own, pixels)
    description = CodecDescription(
        network=net.name,
        filters=net.filters,
        channels=net.channels,
        symbols_sha256=digest(arrays_of(model)),
        decoder_sha256=digest(synthesis_arrays(own.g_s)),
        encoder_sha256=digest(encoder_arrays(own)),
    )
    return NeuralCodec(description, model, own.g_s, own)


def _padded(pixels: npt.NDArray[np.uint8], factor: int) -> npt.NDArray[np.uint8]:
    """Repeat edge pixels to the right and below, up to multiples of `factor`."""
    rows, columns = (-side % factor for side in pixels.shape[1:3])
    return np.pad(pixels, ((0, 0), (0, rows), (0, columns), (0, 0)), "edge")


def _checked_shape(shape: Sequence[int]) -> tuple[int, int]:
    rows, columns = (int(side) for side in shape)
    if not (1 <= rows <= MOST_SIDE and 1 <= columns <= MOST_SIDE):
        raise InvalidParameterError(
            "no such tile of a learned codec",
            expected=f"1 to {MOST_SIDE:,} rows and columns",
            found=f"{rows} x {columns}",
        )
    return rows, columns


def _batches(count: int, shape: tuple[int, int]) -> Iterator[slice]:
    """Tiles that are coded together: as many as memory is there for, at least one."""
    size = max(1, _BATCH_PIXELS // (shape[0] * shape[1]))
    for start in range(0, count, size):
        yield slice(start, start + size)
