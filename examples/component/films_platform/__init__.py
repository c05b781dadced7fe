"""A Dagster project with two libraries."""
