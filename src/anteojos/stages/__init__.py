"""One module per stage of dvc.yaml: read its inputs, call the library, write its outputs."""
