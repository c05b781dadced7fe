"""``clip-assets extract``: video_features' command line, over `core` alone; what it computes is what the assets do.

Way of a call: `command` -> `arguments` (what was written) -> `options` (what it means) -> `plan` (what is to be done, of
which `inputs`, to which `files`) -> `extraction` (the work) -> `files` or `printing` (the results). Dagster is never
imported.
"""
