"""A conserved concentration and an order parameter that no image shows, with one free energy."""

from ufl import dot, grad

from fe_phaseinv import Field, FunctionLaw, Model, NumberLaw


class Coupled(Model):
    """dc/dt = div(D(c) grad mu), mu = mu_h(c) + b phi - kappa lap c, dphi/dt = -L (w(phi) + b c - kappa_phi lap phi).

    The order parameter phi is c at the start. Its scale is fixed by that; what is left free is the unit of energy.
    """

    fields = Field("c", bounds=(0, 1)), Field("mu", rate=False), Field("phi", bounds=(-0.2, 1.2), start=lambda c: c)
    laws = (
        FunctionLaw("chemical_potential", constant=False, unit="kT", symbol="mu_h"),
        FunctionLaw("diffusivity", positive=True, unit="length^2/time", symbol="D"),
        FunctionLaw("order_potential", of="phi", unit="kT", symbol="w"),
        NumberLaw("gradient_energy", initial=1e-3, positive=True, unit="length^2", symbol="kappa"),
        NumberLaw("order_gradient_energy", initial=1e-3, positive=True, unit="length^2", symbol="kappa_phi"),
        NumberLaw("order_rate", initial=100.0, positive=True, unit="1/time", symbol="L"),
        NumberLaw("coupling", initial=-1.0, unit="kT", symbol="b"),
    )
    conserved = True
    gauge = {
        **dict.fromkeys(("chemical_potential", "order_potential", "coupling"), 1),
        **dict.fromkeys(("gradient_energy", "order_gradient_energy"), 1),
        **dict.fromkeys(("diffusivity", "order_rate"), -1),
    }

    def residual(self, fields, rates, laws, tests, at):
        """Return the weak form: an equation for each of c, mu and phi."""
        c, mu, phi = fields
        potential = laws.chemical_potential(c) + laws.coupling * phi
        order = laws.order_potential(phi) + laws.coupling * c
        stiff = laws.order_gradient_energy * dot(grad(phi), grad(tests.phi))
        return (
            rates.c * tests.c
            + laws.diffusivity(c) * dot(grad(mu), grad(tests.c))
            + (mu - potential) * tests.mu
            - laws.gradient_energy * dot(grad(c), grad(tests.mu))
            + rates.phi * tests.phi
            + laws.order_rate * (order * tests.phi + stiff)
        ) * at.dx
