"""Parses a page as a reader finds it."""

import html.parser
import json
import re


class Page(html.parser.HTMLParser):
    """Holds what a reader finds: text, tables, figures, images by section.

    Tables are also in `named`, by their id.
    """

    def __init__(self, text):
        super().__init__()
        self.loaded, self.tags, self.tables = [], [], []
        self.figures, self.images, self.text = {}, {}, ""
        self.named = {}
        self._sections, self._figure, self._tile = [], None, None
        # Where text goes besides `text`: a container and a key.
        self._element = None
        self._hidden = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        self._hidden = tag in ("script", "style")
        addresses = [attrs[a] for a in ("src", "href") if a in attrs]
        # The others are places of the page.
        self.loaded += [each for each in addresses if each[0] != "#"]
        if tag == "section":
            self._sections.append(attrs["id"])
            self.images[attrs["id"]] = []
        elif tag == "figure":
            self._figure = attrs
        elif "data-figure" in attrs:
            figure = json.loads(attrs["data-figure"])
            self.figures[self._figure["id"]] = figure
        elif tag == "button":
            self._tile = attrs if "data-sample" in attrs else None
        elif tag == "img" and self._tile:
            attrs["wrong"] = self._tile.get("class") == "wrong"
            attrs["caption"] = ""
            self.images[self._sections[-1]].append(attrs)
            self._element = attrs, "caption"
        elif tag == "table":
            self.tables.append([])
            self.named[attrs.get("id")] = self.tables[-1]
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            row = self.tables[-1][-1]
            self._element = row, len(row)
            row.append("")

    def handle_endtag(self, tag):
        self._hidden = False
        if tag == "section":
            self._sections.pop()
        elif tag in ("td", "th", "button"):
            self._element = None

    def handle_data(self, data):
        if self._hidden:
            return
        self.text += re.sub(r"\s+", " ", data)
        if self._element:
            container, key = self._element
            container[key] += data
