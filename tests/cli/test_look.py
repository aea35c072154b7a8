"""fe-phaseinv look, and what is said of the images before they are fitted."""

import numpy as np
import pytest
from scipy import ndimage

from fe_phaseinv.cli.command import main
from fe_phaseinv.cli.session import BAD_INPUT, DONE
from fe_phaseinv.data.images import ImageSeries

CASE = """
model = "cahn-hilliard"
{images}
[laws]
chemical_potential = {{size = 3, ideal_entropy = true}}
diffusivity = {{size = 2}}
gradient_energy = {{initial = 2e-3}}
"""


@pytest.fixture
def case(tmp_path):
    """Write a case of two series, of which one drifts; gives how to name its sections."""
    source = ImageSeries.load("demos/data/ch_full.npz").select([2, 3, 4]).downsample(2)
    drifting = np.array([ndimage.shift(frame, (0, index), mode="nearest") for index, frame in enumerate(source.frames)])
    for name, frames in (("still", source.frames), ("drifts", drifting)):
        ImageSeries(frames, source.times, (1, 1), unit="um").save(tmp_path / f"{name}.npz")

    def write(*sections):
        path = tmp_path / "case.toml"
        path.write_text(CASE.format(images="\n".join(f"[[images]]\n{section}" for section in sections)))
        return str(path)

    return write


def test_page(case, tmp_path, capfd):
    path = case('file = "still.npz"\nnoise = "estimate"', 'file = "drifts.npz"\nnoise = "estimate"')
    assert main(["look", path, "--output", str(tmp_path / "out")]) == DONE
    out, err = capfd.readouterr()
    assert "64 x 64 pixels" in out and "wavelength" in out and "um" in out
    (warning,) = err.splitlines()
    assert warning.startswith("warning: ") and "drifts.npz: the pictures move by 1 pixels" in warning
    page = (tmp_path / "out" / "look.html").read_text()
    assert page.count("<img") == 2 and page.count("Nothing doubtful") == 1 and "register = true" in page
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"look.html", "look-1.png", "look-1.pdf", "look-2.png", "look-2.pdf"}


def test_register(case, tmp_path, capfd):
    path = case('file = "drifts.npz"\nregister = true')
    assert main(["look", path, "--output", str(tmp_path / "out")]) == DONE
    assert capfd.readouterr().err == ""


def test_bad_input(case, tmp_path, capfd):
    path = case('file = "drifts.npz"\nregister = true\ninitial = 7')
    assert main(["look", path, "--output", str(tmp_path / "out")]) == BAD_INPUT
    assert "initial: found 7" in capfd.readouterr().err and not (tmp_path / "out").exists()
    path = case('file = "still.npz"')
    assert main(["look", path, "--output", path]) == BAD_INPUT
    assert "--output" in capfd.readouterr().err


@pytest.mark.parallel([1, 3])
def test_nothing_but_the_root_looks(tmp_path_factory, capfd):
    from fe_phaseinv.cli.session import WORLD

    folder = WORLD.bcast(str(tmp_path_factory.mktemp("look")))
    arguments = ["look", "demos/spinodal/case.toml", "--output", folder, "--set", "images.frames=[2, 3]"]
    assert main(arguments) == DONE
    assert ("wavelength" in capfd.readouterr().out) == (WORLD.rank == 0)
