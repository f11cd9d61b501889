"""Draws an easy and a hard test image, and what each exit says of them.

    python docs/images/easy_and_hard.py WORKDIR FILE.svg

An image stops at the first exit that gives its class 99 %. The easy one is the
surest at exit 0. The hard one is, of those that go on to a right answer, the
one about which exit 0 is most wrong.
"""

import base64
import dataclasses
import html
import io
import pathlib
import sys

import numpy as np
from PIL import Image

from keras_dynamic import exits
from pipeline.data import augmentation, dataset
from pipeline.results import predictions
from pipeline.results.layout import Layout
from tflite import bundle

_SIDE, _BAR, _ROW, _TOP = 150, 150, 18, 34
_PANEL = _SIDE + _BAR + 130
_SURE = 0.99


def main(directory: str, output: str) -> None:
    """Reads the finished working directory and writes the picture."""
    layout = Layout(pathlib.Path(directory))
    held = bundle.read(str(layout.bundle))
    said = predictions.load(layout.predictions, "test")
    early = held.policy.exits - 1
    policy = dataclasses.replace(
        held.policy,
        kind="max_probability",
        scheduler=None,
        thresholds=(*[_SURE] * early, 0.0),
        enabled=(True,) * (early + 1),
    )
    stops = policy.route(said.logits)
    probabilities = np.stack(
        [
            exits.softmax(logits, temperature)
            for logits, temperature in zip(
                said.logits, policy.temperatures, strict=True
            )
        ]
    )
    rows = np.arange(len(said.labels))
    right = probabilities[:, rows, said.labels]  # [K, N]
    easy = np.where(stops == 0, right[0], -1).argmax()
    answered = said.logits[stops, rows].argmax(-1) == said.labels
    hard = np.where((stops > 0) & answered, right[0], 2).argmin()
    if stops[easy] or not (stops[hard] and answered[hard]):
        raise SystemExit(f"`{directory}` has no such test images.")
    images = dataset.load(layout.data, "test").images[[easy, hard]]
    pictures = augmentation.center_crop(images, held.input.shape[0])
    panels = [
        _panel(
            left,
            title,
            picture,
            held.labels,
            said.labels[row],
            probabilities[:, row],
            stops[row],
        )
        for left, title, picture, row in zip(
            (0, _PANEL + 30),
            ("easy", "hard"),
            pictures,
            (easy, hard),
            strict=True,
        )
    ]
    width = 2 * _PANEL + 30
    height = _TOP + max(_SIDE, policy.exits * 2 * _ROW) + 12
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="12">'
        '<rect width="100%" height="100%" fill="white"/>'
        f"{''.join(panels)}</svg>\n"
    )
    pathlib.Path(output).write_text(picture, encoding="utf-8")


def _panel(left, title, picture, names, label, probabilities, stop):
    """One image, and two bars per exit: the label's and the next class's."""
    name = html.escape(names[label])
    heading = f"{title}: a {name} that leaves at exit {stop}"
    parts = [
        f'<text x="{left + 8}" y="20" font-weight="bold">{heading}</text>',
        f'<image x="{left + 8}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" '
        f'style="image-rendering:pixelated" href="{_data_uri(picture)}"/>',
    ]
    x = left + _SIDE + 66
    for exit, row in enumerate(probabilities):
        others = np.where(np.arange(len(row)) == label, -1, row)
        y = _TOP + exit * 2 * _ROW
        shade = 1.0 if exit <= stop else 0.3
        parts.append(
            f'<g opacity="{shade}"><text x="{left + _SIDE + 18}" '
            f'y="{y + 18}">exit {exit}</text>'
        )
        for place, which, color in (
            (0, label, "#2563a8"),
            (1, others.argmax(), "#c2703d"),
        ):
            top, long = y + 2 + 15 * place, max(1.0, _BAR * row[which])
            parts.append(
                f'<rect x="{x}" y="{top}" width="{long:.1f}" height="13" '
                f'fill="{color}"/><text x="{x + long + 4:.1f}" y="{top + 11}" '
                f'font-size="11">{html.escape(names[which])}: '
                f"{100 * row[which]:.1f} %</text>"
            )
        parts.append("</g>")
    return "".join(parts)


def _data_uri(picture: np.ndarray) -> str:
    pixels = picture[..., 0] if picture.shape[-1] == 1 else picture
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(
        stream.getvalue()
    ).decode("ascii")


if __name__ == "__main__":
    main(*sys.argv[1:])
