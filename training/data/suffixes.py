"""The names of images; whether one can be read is seen when it is read."""

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".avif", ".heic", ".heif", ".jp2", ".ppm", ".pgm"),
}
