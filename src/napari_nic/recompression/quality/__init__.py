"""How far a picture is from the one it was made of: numbers, faults that these miss, verdicts on tiles.

::

    source tile, decoded tile --measure--> Measures (SSIM, PSNR, colour, faults)
                              --judge----> Judgement: keep, or what was broken --> QualityCheck, of a writer
"""

from napari_nic.recompression.quality.checking import QualityCheck
from napari_nic.recompression.quality.faults import Broken, FaultLimits, Faults, find_faults
from napari_nic.recompression.quality.judging import Bounds, Judgement, Measures, judge
from napari_nic.recompression.quality.metrics import color_error_map, ms_ssim, psnr, ssim
from napari_nic.recompression.quality.tally import QualityTally

__all__ = [
    "Bounds",
    "Broken",
    "FaultLimits",
    "Faults",
    "Judgement",
    "Measures",
    "QualityCheck",
    "QualityTally",
    "color_error_map",
    "find_faults",
    "judge",
    "ms_ssim",
    "psnr",
    "ssim",
]
