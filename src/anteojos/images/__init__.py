"""From an image file to what the network sees: decode, check, detect and align the face, resize."""
