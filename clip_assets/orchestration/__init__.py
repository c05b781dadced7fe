"""All that knows Dagster: assets, checks, jobs, sensors, resources, IO managers, run launcher, runs in this process.

What belongs here would be another thing under another orchestrator. What would stay the same belongs to `core` or to
the modules beside this package.
"""
