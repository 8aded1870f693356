"""What all packages need: errors, files written whole, threads, processes, Dask, LiteRT."""
