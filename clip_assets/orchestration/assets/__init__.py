"""The software-defined assets, one file each; each says what is wanted and hands over the work.

No arithmetic and no file formats: these are `core`'s.
"""

import warnings

# Dagster marks these as beta, for every definition and every output; batches and exact staleness rest on them.
warnings.filterwarnings("ignore", message=r"\w+ `(backfill_policy|data_version|observable_source_asset)`")
