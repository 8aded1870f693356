"""Used by all other packages: errors, atomic files, threads, processes, Dask, LiteRT."""
