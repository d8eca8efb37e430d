"""What the small constants of losses mean: epsilons, floors, shortest vectors.

At usual values they are below any tolerance, so each is met here where it decides.
"""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from jnst.losses import CONTENT_LOSSES, STYLE_LOSSES, compute, moments, pairs
from jnst.losses.rows import option_names

pytestmark = pytest.mark.usefixtures("quick_compile")


def test_scaled_squares_add_1e_8_to_the_sum_of_absolute_values():
    # A difference d = 1e-8 alone: d^2 / (d + 1e-8) = d / 2.
    one, zero = np.full((1, 1, 1), 1e-8), np.zeros((1, 1, 1))
    np.testing.assert_allclose(compute("scaled", one, zero), 5e-9, rtol=1e-4)
    # The Gram matrix of 1e-4 is 1e-8.
    gram = compute("scaled_gram", np.full((1, 1, 1), 1e-4), zero)
    np.testing.assert_allclose(gram, 5e-9, rtol=1e-4)


def test_a_flat_image_has_the_root_of_epsilon_as_isotropic_variation():
    # 4 x 5 pixels have 3 x 4 with both neighbours, three colours, root of 1e-8 each.
    found = compute("tv_isotropic", np.full((4, 5, 3), 0.5))
    np.testing.assert_allclose(found, 3 * 4 * 3 * 1e-4, rtol=1e-5)


def test_pytorchs_deviation_of_a_flat_channel_is_the_root_of_1e_5():
    found = moments.mean_and_std(jnp.full((1, 3, 4, 2), 7.0), form="pytorch")
    np.testing.assert_allclose(found.std, np.full(2, 1e-5**0.5), rtol=1e-5)


def test_adain_gives_a_flat_style_the_deviation_of_its_epsilon():
    # naoto0804's 1e-5 under both roots; the content's variance over M - 1 is 2.
    content, style = np.array([[[1.0], [-1.0]]]), np.full((1, 2, 1), 5.0)
    target = CONTENT_LOSSES["adain_target"].target
    found = np.asarray(target(jnp.float32(content)[None], jnp.float32(style)[None]))
    expected = (1e-5 / (2 + 1e-5)) ** 0.5
    np.testing.assert_allclose(found.ravel() - 5, [expected, -expected], rtol=1e-3)


def test_contextual_affinities_are_relative_to_the_nearest_and_1e_5():
    # Two opposite vectors: cosine distances 0 and 2, relative ones 0 and 2e5. At a
    # bandwidth of 2e5 the affinities are 1 and 1 / e, over their sum.
    features = np.array([[[1.0, 0.0], [-1.0, 0.0]]])
    found = compute("contextual", features, features, bandwidth=2e5)
    np.testing.assert_allclose(found, np.log(1 + np.exp(-1)), rtol=1e-4)


@pytest.mark.parametrize(("angle", "expected"), [(1e-2, 0), (5e-4, 1)])
def test_directions_nearer_than_1e_6_have_no_shares(angle, expected):
    """Cosine distances of a pair are angle^2 / 2: 5e-5 is seen, 1e-7 is rounding."""
    pair = np.array([[[1.0, 0.0], [np.cos(angle), np.sin(angle)]]])
    across = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    found = compute("self_similarity", pair, across)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_vectors_have_a_direction_from_a_length_of_1e_8():
    units = pairs.unit_vectors(jnp.array([[3e-8, 4e-8], [3e-9, 4e-9]]))
    np.testing.assert_allclose(units, [[0.6, 0.8, 0], [0, 0, 1]], rtol=1e-5)


def test_the_bandwidth_of_a_gaussian_kernel_follows_small_distances():
    """It is relative to the mean square: a power of two on both maps changes nothing.

    From mean squares of 1e-12 down it stays, and the discrepancy goes to 0.
    """
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(size=(4, 3, 2)), 1 + rng.normal(size=(4, 3, 2))
    whole = float(compute("mmd_gaussian", ours, theirs))
    small, tiny = (
        float(compute("mmd_gaussian", ours * scale, theirs * scale))
        for scale in (2.0**-18, 2.0**-30)
    )
    np.testing.assert_allclose(small, whole, rtol=1e-5)
    assert 0 <= tiny < 1e-4 * whole


def test_as_many_samples_are_drawn_as_the_sources_draw():
    """65^2 of contextualLoss; 1024 and five times 1000 of STROTSS."""
    found = {
        (name, option): inspect.signature(row.distance).parameters[option].default
        for name, row in STYLE_LOSSES.items()
        for option in option_names(row.distance)
        if "samples" in option
    }
    assert found == {
        ("contextual", "samples"): 65**2,
        ("strotss", "samples"): 1024,
        ("strotss", "style_samples"): 5 * 1000,
        # Ours: what takes about as long as the convolutions.
        ("mmd_gaussian", "samples"): 2**11,
        ("nnfm", "samples"): 2**11,
        ("mrf", "samples"): 2**10,
    }
