"""Videos in, CLIP features out. Nothing here knows of Dagster; the command line and the assets both call it.

What belongs here takes values and gives values: no settings, no environment, no advice what to do.
"""
