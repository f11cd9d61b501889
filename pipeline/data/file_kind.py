"""Tells from its first bytes what a file is that is not as its name says."""

_NONE = "not an image of a format that is read"
_BRANDS = (b"heic", b"heix", b"heif", b"hevc", b"mif1", b"msf1", b"avif")
_KINDS = {
    b"\x1f\x8b": "compressed with gzip: unpack it",
    b"PK\3\4": "a zip archive: unpack it",
    b"%PDF": "a PDF",
    b"\0\0\0\x0cJXL ": "JPEG XL: convert it to JPEG or PNG",
    b"\0\0\0\x0cjP  ": "JPEG 2000: convert it to JPEG or PNG",
    b"version https://git-lfs": "a pointer of Git LFS: fetch the file",
    b"<svg": "an SVG: convert it to PNG",
    b"<!DOCTYPE html": "a page in HTML, as of a download that failed",
    b"<html": "a page in HTML, as of a download that failed",
}
_IMAGES = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")


def no_image(data: bytes) -> str:
    """Returns why bytes that Pillow does not know are no image, with a hint."""
    if not data:
        return f"{_NONE}: an empty file"
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS:
        return f"{_NONE}: HEIC or AVIF, convert it to JPEG or PNG"
    for begin, kind in _KINDS.items():
        if data.startswith(begin):
            return f"{_NONE}: {kind}"
    return _NONE


def hints(data: bytes) -> bool:
    """Tells whether `no_image` can name what bytes are."""
    return bool(data) and no_image(data) != _NONE


def may_be_image(data: bytes) -> bool:
    """Tells whether a file begins as one of a format that is read does."""
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    return webp or data.startswith(_IMAGES)
