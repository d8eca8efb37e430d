"""Content losses: worked values, twins, and what each can and cannot see."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import references
from tiny import feature_map
from worked import RTOL, A, B

from jnst.losses import CONTENT_LOSSES, compute, content

pytestmark = pytest.mark.usefixtures("quick_compile")

# The others have their twins in `references_matching.py`.
ELEMENTWISE = [
    name
    for name, row in CONTENT_LOSSES.items()
    if row.distance.__module__ == content.__name__ and not row.needs_style
]
FORMS = [(name, {}) for name in ELEMENTWISE]
FORMS += [("cysmith", {"form": form}) for form in ("mean", "half")]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("squared_mean_difference", {}, 0.0001085069444),  # A1, source 000
        ("sum", {}, 15.390625),  # A2, source 001
        ("quarter_mean", {}, 0.3206380208),  # A3, source 002
        ("mean_squared", {}, 1.282552083),  # A4, source 004; B2
        ("half_sum", {}, 7.6953125),  # B1, Gatys 2016
        ("scaled", {}, 1.219059405),  # B5, crowsonkb's ScaledMSE
        ("cysmith", {}, 2.221445372),  # B1, content constants found in the wild
        ("cysmith", {"form": "mean"}, 1.282552083),
        ("cysmith", {"form": "half"}, 7.6953125),
    ],
)
def test_content_losses_equal_the_catalogue(name, options, expected):
    actual = compute(name, A, B, **options)
    np.testing.assert_allclose(actual, expected, rtol=RTOL)


@pytest.mark.parametrize(("name", "options"), FORMS)
def test_every_content_loss_matches_its_twin(name, options, maybe_jit):
    ours, theirs = feature_map(seed=1), feature_map(seed=2)
    fn = maybe_jit(lambda a, b: compute(name, a, b, **options))
    arrays = (np.asarray(f[0], np.float64) for f in (ours, theirs))
    expected = references.content_loss(*arrays, name=name, **options)
    np.testing.assert_allclose(fn(ours, theirs), expected, rtol=1e-5)


def test_source_002_prints_this_content_value():
    inputs = json.loads(
        (Path(__file__).parent / "data" / "seed002_inputs.json").read_text()
    )
    a_c, a_g = (
        np.asarray(inputs[k]["values"], np.float32).reshape(inputs[k]["shape"])
        for k in ("a_C", "a_G")
    )
    actual = compute("quarter_mean", a_g, a_c)
    np.testing.assert_allclose(actual, 6.76559, rtol=0, atol=5e-6)  # as printed
    np.testing.assert_allclose(actual, 6.76559303, rtol=1e-6)  # NumPy, the catalogue


def test_source_000_sees_no_difference_of_equal_mean():
    # losses.md, A1: [[[1, -1]]] against zeros is 0.
    features = np.array([[[1.0, -1.0]]])
    assert float(compute("squared_mean_difference", features, 0 * features)) == 0
    assert float(compute("mean_squared", features, 0 * features)) == 1


def test_source_000_has_the_same_gradient_in_every_entry():
    # losses.md, A1: 2 mean(F - P) / number of entries.
    loss = lambda x: compute("squared_mean_difference", x, B)  # noqa: E731
    gradient = jax.grad(loss)(jnp.asarray(A, jnp.float32))
    expected = np.full(A.shape, 2 * np.mean(A - B) / A.size)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5)


def test_half_the_sum_has_the_difference_as_gradient():
    # losses.md, B1: dL/dF = F - P.
    loss = lambda x: compute("half_sum", x, B)  # noqa: E731
    gradient = jax.grad(loss)(jnp.asarray(A, jnp.float32))
    np.testing.assert_allclose(gradient, A - B, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "tile", "double", "scale"),
    [
        # losses.md, D1: both maps tiled 2x2, every channel doubled, both times 2.
        ("sum", 4, 2, 4),
        ("half_sum", 4, 2, 4),
        ("mean_squared", 1, 1, 4),
        ("quarter_mean", 1, 1, 4),
        ("squared_mean_difference", 1, 1, 4),
        ("scaled", 1, 1, 2),
    ],
)
def test_content_losses_scale_as_measured(name, tile, double, scale):
    before = compute(name, A, B)
    changes = {
        tile: lambda f: np.tile(f, (2, 2, 1)),
        double: lambda f: np.concatenate([f, f], axis=2),
        scale: lambda f: 2 * f,
    }
    ratios = [compute(name, fn(A), fn(B)) / before for fn in changes.values()]
    np.testing.assert_allclose(ratios, list(changes), rtol=1e-5)


@pytest.mark.parametrize("name", CONTENT_LOSSES)
def test_shapes_that_would_broadcast_are_refused(name):
    with pytest.raises(ValueError, match="must have the same shape"):
        compute(name, A, B[:1, :1], style=B)


def test_adain_gives_the_content_the_styles_means_and_deviations():
    # Eq. 8 in NumPy, deviations over M - 1: they are those of the result too.
    ours, theirs = feature_map(4, 3, seed=1), feature_map(2, 5, seed=2)
    found = np.asarray(content.adain_target(ours, theirs, epsilon=0.0))[0]
    arrays = (np.asarray(f[0], np.float64).reshape(-1, 3) for f in (ours, theirs))
    (mean, std), (wanted, spread) = ((x.mean(0), x.std(0, ddof=1)) for x in arrays)
    expected = (np.asarray(ours[0]) - mean) / std * spread + wanted
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="unknown form of cysmith 'sqr'. Did you"):
        compute("cysmith", A, B, form="sqr")
