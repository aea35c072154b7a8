"""Phase separation with a repulsion of long range, as in block copolymers (Ohta and Kawasaki, 1986)."""

from ufl import dot, dx, grad

from fe_phaseinv import Field, FunctionLaw, Model, NumberLaw


class OhtaKawasaki(Model):
    """dc/dt = div(D(c) c grad mu) - alpha (c - mean of the start), mu = mu_h(c) - kappa lap c."""

    fields = Field("c", bounds=(0, 1)), Field("mu", rate=False)
    laws = (
        FunctionLaw("chemical_potential", of="c", constant=False, unit="kT", symbol="mu_h"),
        FunctionLaw("diffusivity", of="c", positive=True, unit="length^2/time", symbol="D"),
        NumberLaw("gradient_energy", positive=True, unit="length^2", symbol="kappa"),
        NumberLaw("repulsion", positive=True, unit="1/time", symbol="alpha"),
    )
    gauge = {"chemical_potential": 1, "gradient_energy": 1, "diffusivity": -1}

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form: an equation for c and one for mu."""
        c, mu = fields
        return (
            (rates.c + laws.repulsion * (c - at.start_mean)) * tests.c * dx
            + laws.diffusivity(c) * c * dot(grad(mu), grad(tests.c)) * dx
            + (mu - laws.chemical_potential(c)) * tests.mu * dx
            - laws.gradient_energy * dot(grad(c), grad(tests.mu)) * dx
        )
