"""``clip-assets run``: everything that the library lacks, computed in this process, every event true."""
