"""Between fields and pixels: averages over pixels, fields fitted to frames, and boundary data from images."""
