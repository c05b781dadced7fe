"""One partition per video: its key is the path below the library's root (see `core.library` for the rules)."""

import dagster as dg

videos_partitions = dg.DynamicPartitionsDefinition(name="videos")
