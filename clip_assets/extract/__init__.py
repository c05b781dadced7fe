"""``clip-assets extract``: video_features' command line, over `core` alone; what it computes is what the assets do.

Way of a call: `arguments` (what was written) -> `options` (what it means) -> `inputs` (which videos) -> `command` (the
work) -> `files` or `printing` (the results). Dagster is never imported.
"""
