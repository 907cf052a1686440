"""Read an export by slideflow's own functions: bag, places and the check of the configuration.

python slideflow_reader.py CASE read
"""

from __future__ import annotations

import sys
from pathlib import Path

import slideflow
from slideflow.mil.features import MILFeatures
from slideflow.mil.utils import _load_bag
from truth import Truth

case = Path(sys.argv[1])
truth = Truth(case)
bag = next((case / "slideflow").rglob("*.pt"))
(places,) = MILFeatures._get_bag_locations(None, [str(bag)]).values()
truth.compare(places - truth.side // 2, _load_bag(str(bag)).numpy())
config = slideflow.util.load_json(str(bag.parent / "bags_config.json"))
assert {"tile_px", "tile_um", "num_features", "extractor", "normalizer"} <= config.keys()
print(f"slideflow {slideflow.__version__}: a bag of {len(truth)} tiles with their centres")
