"""Runs the segments of a bundle in the interpreters of one thread."""

import time
from collections.abc import Callable, Iterator

import numpy as np

from tflite.runtime import loaded_segment, pace
from tflite.runtime.logits import Logits
from tflite.runtime.open_bundle import OpenBundle
from tflite.runtime.quantized import writer

_PIXELS = np.dtype(np.uint8)


class Chain:
    """Takes one image at a time from exit to exit. Not thread-safe.

    A segment with a gate runs only where the gate is not 0; else its bypass
    does or, without one, whatever reads its outputs gets zeros. A segment is
    loaded when an image first gets there, the first one at once.

    A tensor between segments is copied when a segment runs that reads it, once,
    from one interpreter's memory into the other's; the image is written
    straight to where the first segment has it.

    Args:
        opened: The bundle.
        clock: Tells the time in seconds.

    Attributes:
        segment_ms: Milliseconds spent in each segment so far, for the image in
            the chain: copying its inputs and running it; 0.0 if it did not run.
        ran: Whether the image is there, which it is, and each segment so far
            ran.
        madds: Multiply-adds of those that ran.
        pace: How long each exit takes.
        warm: Whether all segments are loaded and ran before.

    Raises:
        bundle.InvalidBundle: if the first segment is not what the manifest
            says.
        flatbuffer.InvalidModel: if it is not a sound model.
    """

    def __init__(
        self,
        opened: OpenBundle,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self._opened = opened
        self._clock = clock
        self._facts = opened.bundle.input
        self._places = range(len(opened.bundle.segments))
        self._turn = 0
        self.segment_ms: list[float] = []
        self.ran: list[bool] = []
        self.madds = 0
        self.pace = pace.Pace(len(opened.bundle.ends))
        self.warm = False
        image, first, self._source = self._first()
        image.fill(self._facts.zero_point)
        self._stages = [first]
        self._image = image[0]
        self._write = writer(self._facts, self._image)

    def run(self, image: np.ndarray) -> Iterator[Logits]:
        """Yields an exit's logits, and only when asked goes on to the next.

        They and the attributes are those of the image until then.

        Args:
            image: uint8 [H, W, C], as in the bundle's input facts.

        Raises:
            ValueError: if `image` has another shape or type, or another one
                was begun before this one was done.
        """
        clock, loaded = self._clock, self._stages
        self._turn = turn = self._turn + 1
        self.segment_ms = spent = []
        self.ran = ran = [True]
        self.madds = 0
        start = clock()
        self._put(image)
        for place in self._places:
            if place == len(loaded):
                self.stage(place)
                start = clock()
            gates, bypass, feeds, run, madds, logits, _, _ = loaded[place]
            if (bypass and ran[place]) or (gates and not _open(gates, ran)):
                ran.append(False)
                spent.append(0.0)
                continue
            for view, sources, memory, zero in feeds:
                for origin, source in sources:
                    if ran[origin]:
                        view[:] = source
                        break
                else:
                    memory.fill(zero)
            run()
            now = clock()
            spent.append(1e3 * (now - start))
            start = now
            ran.append(True)
            self.madds += madds
            if logits is not None:
                yield logits
                if self._turn != turn:
                    raise ValueError(
                        "`image` must be done, or given up, before the next "
                        "one begins in the same thread. Received: another one"
                    )
                start = clock()

    def warm_up(self) -> None:
        """Loads every segment and runs each twice; the second run is timed."""
        self._turn += 1
        clock = self._clock
        for _ in range(2):
            exit, start = 0, clock()
            for place in self._places:
                stage = self.stage(place)
                for feed in stage.feeds:
                    feed.memory.fill(feed.zero)
                stage.run()
                if stage.logits is not None:
                    now = clock()
                    self.pace.start(exit, 1e3 * (now - start))
                    exit, start = exit + 1, now
        self.warm = True

    def stage(self, place: int) -> loaded_segment.LoadedSegment:
        """Loads the segments up to a place, if they are not; returns the last.

        Raises:
            bundle.InvalidBundle: if one is not what the manifest says.
            flatbuffer.InvalidModel: if it is not a sound model.
        """
        while len(self._stages) <= place:
            [name] = self._opened.bundle.segments[0].wiring.inputs
            sources = {name: (self._source,)}
            for stage in self._stages:
                for name, source in stage.outputs.items():
                    sources[name] = (*sources.get(name, ()), source)
            self._stages.append(
                loaded_segment.load(self._opened, len(self._stages), sources)
            )
        return self._stages[place]

    def _first(
        self,
    ) -> tuple[np.ndarray, loaded_segment.LoadedSegment, loaded_segment.Source]:
        """Loads the first segment; returns the image's place, too."""
        opened, facts = self._opened, self._facts
        [name] = opened.bundle.segments[0].wiring.inputs
        image = np.zeros((1, *facts.shape), facts.dtype)
        source = loaded_segment.image_source(image, facts)
        stage = loaded_segment.load(opened, 0, {name: (source,)})
        readers = [
            name in each.wiring.inputs for each in opened.bundle.segments
        ]
        if sum(readers) == 1:
            image = stage.feeds[0].memory
            stage = stage._replace(feeds=())
        return image, stage, source

    def _put(self, image: np.ndarray) -> None:
        if not isinstance(image, np.ndarray) or image.dtype != _PIXELS:
            received = getattr(image, "dtype", type(image).__name__)
            raise ValueError(
                "`image` must be a numpy array of uint8 pixels. "
                f"Received: {received}"
            )
        if image.shape != self._facts.shape:
            raise ValueError(
                f"`image` must have the shape {self._facts.shape}, that is "
                f"(height, width, channels). Received: {image.shape}"
            )
        self._write(image)


def _open(gates: tuple[loaded_segment.Source, ...], ran: list[bool]) -> bool:
    """Tells whether the gate that was computed is not 0; none counts as 0."""
    for gate in gates:
        if ran[gate.origin]:
            return gate.memory.item() != gate.zero
    return False
