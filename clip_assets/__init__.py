"""Folders of videos become CLIP features: partitioned, tracked, reproducible Dagster assets."""
