import pytest

from fe_phaseinv.models.dimensions import Scales, named


@pytest.mark.parametrize(
    ("unit", "value", "words"),
    [
        ("length^2/time", 4 / 5, "um^2/h"),
        ("1/time", 1 / 5, "1/h"),
        ("length^2", 4, "um^2"),
        ("1/length^0.5", 2**-0.5, "1/um^0.5"),
        ("kT length^-1 / time^2", 1 / 2 / 25, "kT um^-1 / h^2"),
        ("kT", 1, "kT"),
        ("", 1, ""),
        ("m^2/s", 1, "m^2/s"),
        ("wavelength", 1, "wavelength"),
    ],
)
def test_units_are_measured_and_named(unit, value, words):
    assert Scales(length=2.0, time=5.0).of(unit) == pytest.approx(value)
    assert named(unit, "um", "h") == words
    assert named(unit, "", "") == unit
