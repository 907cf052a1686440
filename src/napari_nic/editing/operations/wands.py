"""Wands: what is connected with a point and looks like it, by colour or by the codes of an encoder."""

from __future__ import annotations

import math

import numpy as np

from napari_nic.errors import AnnotationError, OutOfBoundsError

AROUND = 1
"""The colour of a click is that of 3 x 3 pixels: one pixel of a scan is noise."""

_FLOODED, _BY_SIDES = 2, 4
"""The value that marks what is connected, and through how many neighbours."""


def wand_by_color(
    picture: np.ndarray, seed: tuple[int, int], tolerance: float, blur: float = 1.0
) -> np.ndarray:
    """Find the connected pixels whose colour is like that at a point.

    Parameters
    ----------
    picture : ndarray of uint8, (rows, cols, 3)
        sRGB.
    seed : (row, col)
    tolerance : float
        Largest distance of colours in CIELAB (CIE 1976 Delta E); 2.3 is just noticeable.
    blur : float
        Standard deviation, in pixels, of a Gaussian that goes before: noise and nuclei pull the wand less.

    Returns
    -------
    ndarray of bool, (rows, cols)
        4-connected, holds the seed.

    Raises
    ------
    OutOfBoundsError
        If the seed lies off the picture.
    """
    return ColorWand(picture, blur).take(seed, tolerance)


class ColorWand:
    """A wand over one picture, whose colours are looked at once.

    Parameters
    ----------
    picture : ndarray of uint8, (rows, cols, 3)
        sRGB.
    blur : float
        See :func:`wand_by_color`.
    """

    def __init__(self, picture: np.ndarray, blur: float = 1.0) -> None:
        import cv2

        self._blur = blur
        sharp = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        soft = sharp
        if blur > 0:
            soft = cv2.GaussianBlur(sharp, (0, 0), blur, borderType=cv2.BORDER_REFLECT)
        self._soft, self._sharp = _planes(soft), _planes(sharp)

    def take(self, seed: tuple[int, int], tolerance: float) -> np.ndarray:
        """Find the connected pixels whose colour is like that at a point, see :func:`wand_by_color`.

        Raises
        ------
        OutOfBoundsError
            If the seed lies off the picture.
        """
        import cv2

        _require_inside(seed, self._soft.shape[1:])
        rows, cols = (slice(max(0, at - AROUND), at + AROUND + 1) for at in seed)
        wanted = self._soft[:, rows, cols].mean(axis=(1, 2))
        found = _connected(_near(self._soft, wanted, tolerance), seed)
        if self._blur > 0:  # it mixed colours at the rim of the region: go on to where the sharp ones end
            reach = 2 * math.ceil(2 * self._blur) + 1
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
            near = cv2.dilate(found.view(np.uint8), disc).view(bool)
            found |= near & _near(self._sharp, wanted, tolerance)
        return _connected(found, seed)


def _planes(lab: np.ndarray) -> np.ndarray:
    """(rows, cols, 3) -> (3, rows, cols): sums over colours are then many times as fast."""
    return np.ascontiguousarray(lab.transpose(2, 0, 1))


def _near(planes: np.ndarray, wanted: np.ndarray, tolerance: float) -> np.ndarray:
    """Pixels whose colour is within a distance of the wanted one."""
    squares = np.zeros(planes.shape[1:], np.float32)
    difference = np.empty_like(squares)
    for plane, value in zip(planes, wanted, strict=True):
        np.subtract(plane, value, out=difference)
        np.multiply(difference, difference, out=difference)
        squares += difference
    return squares <= np.float32(tolerance**2)


def wand_by_similarity(
    codes: np.ndarray, encoded: np.ndarray, seed: tuple[int, int], threshold: float
) -> np.ndarray:
    """Find the connected cells whose codes are like that of a cell.

    Parameters
    ----------
    codes : ndarray of float, (n, channels)
        Of the encoded cells, row by row.
    encoded : ndarray of bool, (rows, cols)
        Cells that have codes, n of them.
    seed : (row, col)
    threshold : float
        Least cosine, -1 to 1, of a cell's code and the seed's, both taken from the mean of all codes: raw
        codes of one encoder point in much the same direction.

    Returns
    -------
    ndarray of bool, (rows, cols)
        4-connected, holds the seed.

    Raises
    ------
    OutOfBoundsError
        If there is no such cell.
    AnnotationError
        If it is not compressed.
    """
    _require_inside(seed, encoded.shape)
    if not encoded[seed]:
        raise AnnotationError(
            "the wand found no code here: this place is not compressed",
            hint="click on tissue that is compressed, or compress it first",
        )
    number = int(np.count_nonzero(encoded[: seed[0]])) + int(np.count_nonzero(encoded[seed[0], : seed[1]]))
    mean = codes.mean(axis=0, dtype=np.float32)
    mine = codes[number].astype(np.float32) - mean
    tiny = np.finfo(np.float32).tiny
    # Of codes x, of which no centred copy is made: (x - mean) . mine and |x - mean|.
    dots = codes @ mine - mean @ mine
    squares = np.einsum("nc,nc->n", codes, codes) - 2 * (codes @ mean) + mean @ mean
    norms = np.sqrt(np.maximum(squares, tiny)) * max(float(np.linalg.norm(mine)), tiny)
    cosine = dots / np.maximum(norms, tiny)
    similar = np.zeros(encoded.shape, bool)
    similar[encoded] = cosine >= threshold
    return _connected(similar, seed)


def _connected(mask: np.ndarray, seed: tuple[int, int]) -> np.ndarray:
    import cv2

    flooded = mask.astype(np.uint8)
    flooded[seed] = 1  # blurring may have moved the click's own colour away
    cv2.floodFill(flooded, None, seed[::-1], _FLOODED, flags=_BY_SIDES)
    return np.asarray(flooded == _FLOODED)


def _require_inside(seed: tuple[int, int], shape: tuple[int, ...]) -> None:
    if not (0 <= seed[0] < shape[0] and 0 <= seed[1] < shape[1]):
        raise OutOfBoundsError(
            "the wand was put down outside the picture",
            expected=f"row 0 to {shape[0] - 1}, column 0 to {shape[1] - 1}",
            found=f"{seed[0]}, {seed[1]}",
        )
