"""Says what a data set holds, by class and split, and what is odd about it."""

from collections.abc import Mapping, Sequence

from pipeline.data import label_names
from pipeline.data.manifest import without_class

# Of more classes than this the smallest and the largest are shown.
_CLASSES, _SMALLEST, _LARGEST = 24, 15, 5
_NAMED = 5  # Of what a warning is about.
_WIDTH = 32  # Letters of a class name.


def text(manifest: Mapping) -> str:
    """Returns the table of a manifest: what became of all that was listed."""
    names = [*manifest["labels"], "no class"]
    columns = {**_kept(manifest), **_left_out(manifest)}
    *classes, none = (
        [name, *(counts[label] for counts in columns.values())]
        for label, name in enumerate(names)
    )
    rows = [["class", *columns], *_shortened(classes)]
    rows += [none] if any(none[1:]) else []
    rows += [["all", *(sum(counts) for counts in columns.values())]]
    lines = _aligned(rows)
    skipped = manifest.get("skipped", 0)
    if skipped:
        lines.append(f"Skipped: {skipped} hidden or system files.")
    copies = manifest.get("duplicates", {})
    if copies.get("copies"):
        lines.append(
            f"Copies of other images: {copies['copies']}, of which "
            f"{copies['dropped']} are left out, and {copies['conflicting']} "
            "are in another class than their original."
        )
    return "\n".join(lines)


def warnings(manifest: Mapping, least: int) -> list[str]:
    """Returns what a person should know before training on a data set.

    Args:
        manifest: The manifest.
        least: Images that a split shall have.
    """
    kept = _kept(manifest)
    found = tiny_splits(manifest, least)
    if groups := label_names.alike(manifest["labels"]):
        alike = "; ".join(" and ".join(map(repr, g)) for g in groups[:_NAMED])
        found.append(f"Classes that differ by case or blanks only: {alike}")
    held_out = [split for split in ("train", "test") if split in kept]
    for split in held_out:
        if absent := [
            name
            for name, number in zip(
                manifest["labels"], kept[split], strict=False
            )
            if not number
        ]:
            some = ", ".join(map(repr, absent[:_NAMED]))
            rest = f" and {len(absent) - _NAMED} more" * (len(absent) > _NAMED)
            found.append(f"Classes without images in {split}: {some}{rest}")
    if pairs := manifest.get("conflicts"):
        number = manifest["duplicates"]["conflicting"]
        some = ", ".join(f"{a!r} and {b!r}" for a, b in pairs[:_NAMED])
        found.append(
            f"The same image is in two classes {number} times, such as {some}"
        )
    return found


def tiny_splits(manifest: Mapping, least: int) -> list[str]:
    """Returns a warning of each held-out split of less than half `least`."""
    return [
        f"The {split} split is tiny: of its {number} images each is "
        f"{100 / number:.1f} points"
        for split, number in manifest["counts"].items()
        if split != "train" and 0 < 2 * number < least
    ]


def _kept(manifest: Mapping) -> dict[str, list[int]]:
    """Returns the images of each class by split, and 0 for no class."""
    statistics = manifest.get("statistics", {})
    return {
        split: [*described["classes"], without_class(manifest, split)]
        for split, described in statistics.items()
    }


def _left_out(manifest: Mapping) -> dict[str, list[int]]:
    """Returns by class, and for no class, what is not in the data set."""
    found = manifest.get("left_out", {})
    named = {"rejected": "set aside", "dropped": "copies left out"}
    return {named[fate]: list(counts) for fate, counts in found.items()}


def _shortened(rows: Sequence[list]) -> list[list]:
    """Returns the rows, of many those of the smallest and largest classes."""
    if len(rows) <= _CLASSES:
        return list(rows)
    classes = sorted(rows, key=lambda row: row[1])
    between = len(classes) - _SMALLEST - _LARGEST
    return [
        *classes[:_SMALLEST],
        [f"... {between} more", *[""] * (len(rows[0]) - 1)],
        *classes[-_LARGEST:],
    ]


def _aligned(rows: Sequence[Sequence]) -> list[str]:
    texts = [[_cut(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in texts
    ]


def _cut(cell: str) -> str:
    return cell if len(cell) <= _WIDTH else f"{cell[: _WIDTH - 3]}..."
