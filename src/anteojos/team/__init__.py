"""What a team does with the pipeline: share it, compare branches, check it, release its model.

Each module is run by a target of the Makefile, from the top of a checkout.
"""
