"""Compares images per second of preparation with a plain loop and with TFDS.

    python benchmarks/preparation.py IMAGES OUTPUT.json [REPEATS]

IMAGES holds one directory per class, such as the 50,000 training images of
CIFAR-10 as JPEGs. All three keep the files encoded, decode each fully once to
validate it, and write tf.train.Examples as TFRecord:

- loop: a plain Python loop with the functions that the workers use: read,
  hash, decode, count, encode, append to the shard of its hash;
- ours: `pipeline.prepare.prepare_images`, which also lists through Beam, reads
  every file a
  second time, sorts each shard, and publishes;
- ours_processes: the same with two worker processes;
- tfds: a `tfds.core.BeamBasedBuilder` whose map decodes each file.

Each run is a process of its own; the three take turns. TFDS is needed for this
benchmark alone: `pip install -r benchmarks/requirements.txt`.
"""

import hashlib
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import machine

from pipeline.storage import publishing

_BUCKETS = 16


def main(images: str, output: str, repeats: str = "3") -> None:
    """Runs all and writes the result to `output`."""
    runs = {name: [] for name in _VARIANTS}
    for _ in range(int(repeats)):
        for name, measured in runs.items():
            command = [sys.executable, __file__, "--only", name, images]
            measured.append(machine.child(command))
            print(name, measured[-1], flush=True)
    count = runs["ours"][0]["images"]
    rates, table = {}, {}
    for name, measured in runs.items():
        seconds = statistics.median(run["seconds"] for run in measured)
        whole = [run["process"] for run in measured]
        rates[name] = count / seconds
        table[name] = {
            "images_per_s": rates[name],
            "seconds": [run["seconds"] for run in measured],
            "cpu_s": statistics.median(run["cpu_s"] for run in measured),
            "process": {
                key: statistics.median(each[key] for each in whole)
                for key in whole[0]
            },
        }
    publishing.write_json(
        output,
        {
            "command": f"python benchmarks/preparation.py IMAGES {repeats}",
            "images": count,
            "variants": table,
            "ours_to_loop": rates["ours"] / rates["loop"],
            "ours_to_tfds": rates["ours"] / rates["tfds"],
            "whole_process_ours_to_tfds": table["tfds"]["process"]["wall_s"]
            / table["ours"]["process"]["wall_s"],
            "machine": machine.machine(),
            "versions": machine.versions(),
        },
    )


def _only(name: str, images: str) -> None:
    """Runs one variant and prints what its work took, without imports."""
    with tempfile.TemporaryDirectory() as directory:
        work = _VARIANTS[name](images, pathlib.Path(directory))
        start, cpu = time.perf_counter(), _cpu()
        count = work()
        print(
            json.dumps(
                {
                    "images": count,
                    "seconds": time.perf_counter() - start,
                    "cpu_s": _cpu() - cpu,
                }
            )
        )


def _cpu() -> float:
    times = os.times()
    return sum(times[:4])


def _loop(images: str, directory: pathlib.Path):
    from pipeline.data import record, splits, tally
    from pipeline.data.form import Form
    from pipeline.data.image import Rules
    from pipeline.data.record import Record
    from pipeline.prepare.plan import Plan
    from pipeline.storage import tfrecord_file

    form = Form(32, 3, encoded=True, rules=Rules())
    plan = Plan({}, 0, _BUCKETS)

    def work() -> int:
        counter = tally.Counter(3)
        shards = [[] for _ in range(_BUCKETS)]
        count = 0
        for label, name in enumerate(sorted(os.listdir(images))):
            for file in sorted(os.listdir(os.path.join(images, name))):
                with open(os.path.join(images, name, file), "rb") as source:
                    content = source.read()
                bucket = plan.bucket(splits.identity(content))
                stored = form.apply(content)
                counter.add(stored.pixels, label, stored.height, stored.width)
                data = tfrecord_file.frame(
                    record.encode(
                        Record(
                            f"{name}/{file}",
                            label,
                            32,
                            32,
                            3,
                            encoded=stored.encoded,
                            format=stored.format,
                        )
                    )
                )
                shards[bucket].append(data)
                count += 1
        for bucket, records in enumerate(shards):
            data = b"".join(records)
            (directory / f"{bucket}.tfrecord").write_bytes(data)
            hashlib.sha256(data).hexdigest()
        counter.tally()
        return count

    return work


def _ours(images: str, directory: pathlib.Path, beam_args=()):
    import ml_collections

    from pipeline.config import default
    from pipeline.prepare import prepare_images

    config = default()
    with config.unlocked():
        config.data.source_options = ml_collections.ConfigDict({"path": images})
        config.data.storage = "encoded"
        config.data.shard_images = 50_000 // _BUCKETS

    def work() -> int:
        found = prepare_images.prepare(config, directory / "data", beam_args)
        return sum(found["counts"].values())

    return work


def _processes(images: str, directory: pathlib.Path):
    return _ours(
        images,
        directory,
        ["--direct_num_workers=2", "--direct_running_mode=multi_processing"],
    )


def _tfds(images: str, directory: pathlib.Path):
    import apache_beam as beam
    import tensorflow_datasets as tfds
    from PIL import Image

    labels = sorted(os.listdir(images))

    class Images(tfds.core.BeamBasedBuilder):
        """Reads a folder of images."""

        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(
                            shape=(32, 32, 3), encoding_format="jpeg"
                        ),
                        "label": tfds.features.ClassLabel(names=labels),
                    }
                ),
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples(images)}

        def _generate_examples(self, path):
            def example(key):
                file = os.path.join(path, key)
                Image.open(file).load()
                label = key.split("/")[0]
                return key, {"image": file, "label": label}

            keys = [
                f"{name}/{file}"
                for name in labels
                for file in os.listdir(os.path.join(path, name))
            ]
            return beam.Create(keys) | beam.Map(example)

    def work() -> int:
        builder = Images(data_dir=str(directory / "tfds"))
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(
                beam_runner="FnApiRunner", num_shards=_BUCKETS
            )
        )
        return builder.info.splits["train"].num_examples

    return work


_VARIANTS = {
    "loop": _loop,
    "ours": _ours,
    "ours_processes": _processes,
    "tfds": _tfds,
}

if __name__ == "__main__":
    if sys.argv[1] == "--only":
        _only(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
