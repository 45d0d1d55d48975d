"""What reading in windows costs is printed, and kept as JSON."""

import json

import pytest

from ram_tf.benchmark import measure_windows
from ram_tf.data.windows import HuntReader, write_pyramid


# What counts the memory slows all of it.
@pytest.mark.slow
def test_all_figures_of_each_image_are_reported(tmp_path):
    pytest.importorskip("tifffile", reason="needs the extra large")
    paths = [tmp_path / f"{side}.tif" for side in (1024, 2048)]
    for path in paths:
        write_pyramid(HuntReader(int(path.stem), 0), path)
    lines = []
    found = measure_windows(
        paths, repeats=3, output=tmp_path / "a.json", report=lines.append
    )
    kept = json.loads((tmp_path / "a.json").read_text())["files"]
    assert kept == found and list(found) == list(map(str, paths))
    for path, numbers in found.items():
        side = int(path.rpartition("/")[2][:-4])
        assert numbers["size"] == [side, side]
        assert numbers["cold_bytes"] > numbers["warm_bytes"] == 0
        assert numbers["cold_tiles"] > numbers["warm_tiles"] == 0
        assert numbers["windows_per_second"] > 0 and numbers["peak_megabytes"] > 0
    assert sum("tifffile alone" in line for line in lines) == 2
    assert sum("peak memory" in line for line in lines) == 2
