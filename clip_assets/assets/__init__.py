"""The software-defined assets, one file each; each says what is wanted and hands over the work."""
