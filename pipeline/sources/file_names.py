"""Tells by its name whether a file is an image, something else, or neither.

Preparing images and scoring them both ask here, so that a directory holds the
same images for both.
"""

IMAGES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png"),
    *(".webp", ".bmp", ".tif", ".tiff", ".gif"),
)

# The reason of a file that nobody means by what is in a directory.
SKIPPED = "skipped: a hidden or system file"

_SYSTEM = {
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "__macosx", "@eadir"),
    *("$recycle.bin", "system volume information", "lost+found"),
}
_HINTS = {
    (".heic", ".heif", ".avif"): "HEIC and AVIF are not read: convert to JPEG",
    (".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".7z", ".rar"): (
        "an archive or a compressed file: unpack it"
    ),
}


def is_image(name: str) -> bool:
    """Tells whether a name ends like that of an image file that is read."""
    return name.lower().endswith(IMAGES)


def is_skipped(name: str) -> bool:
    """Tells whether a path is, or lies in, something hidden or a system's.

    Args:
        name: Path below the directory that was asked for; what that lies in
            does not count.
    """
    return any(
        part.startswith(".") or part.lower() in _SYSTEM
        for part in name.split("/")
    )


def hint(name: str) -> str:
    """Returns why a file of a well-known other kind is not read, or ""."""
    for endings, reason in _HINTS.items():
        if name.lower().endswith(endings):
            return reason
    return ""
