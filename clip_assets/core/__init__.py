"""Videos in, CLIP features out. Nothing here knows of Dagster; the command line and the assets both call it."""
