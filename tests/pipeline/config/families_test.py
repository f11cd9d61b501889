import subprocess
import sys

import pytest

from pipeline.config import families


def test_a_name_twice_is_an_error():
    vgg = families.FAMILIES["vgg"]
    with pytest.raises(ValueError, match=r"`families`"):
        families.joined({"vgg": vgg, "again": {"vgg_digits": dict}})


def test_names_begin_with_their_family():
    for family, table in families.FAMILIES.items():
        assert all(name.startswith(family) for name in table)


def test_no_framework_is_imported_to_load_one():
    script = (
        "import sys; from pipeline import config; config.load('vgg_digits')\n"
        "heavy = {'keras', 'tensorflow', 'apache_beam', 'keras_dynamic'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
