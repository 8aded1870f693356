"""Share data, compare branches, check commits, release models.

`python -m anteojos.team` runs these modules in the root of a checkout. The Makefile calls it.
"""
