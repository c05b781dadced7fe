"""``clip-assets extract``: video_features' command line, over `core` alone; what it computes is what the assets do.

Way of a call: `command` -> `arguments` (what was written) -> `options` (what it means) -> `plan` (what to do, of
which `inputs`, into which `files`) -> `extraction` (the work) -> `files` or `printing`. Dagster is never imported.
"""
