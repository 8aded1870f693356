"""From an image file to the input of the network: decode, check, detect and align the face, resize."""
