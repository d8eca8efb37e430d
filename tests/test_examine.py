"""`jnst.examine`: every probe on losses broken on purpose, and on good ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.examining import costs, features, pictures, resemblance, scene
from jnst.examining.finding import FACT, LOOK, OK, WRONG, Lab
from jnst.examining.invariance import CHANGES
from jnst.examining.raw import cosine
from jnst.examining.report import chosen_probes, examine_in
from jnst.examining.scene import even_weights, make_scene, square
from jnst.examining.subject import make_subject
from jnst.examining.table import PROBES
from jnst.files import as_json
from jnst.losses import STYLE_LOSSES, StyleLoss, compute, gram

LAYERS = ("relu1_1", "relu2_1")
FEW = {
    "style": ("gram", "covariance", "mean_std"),
    "content": ("mean_squared", "adain_target"),
    "image": ("tv_mean_l2", "matting_laplacian", "l_beta_norm"),
}
pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module")
def small():
    """The demo's pictures at 32 px seen by a tiny network, and short runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resemblance, "TABLES", FEW)
        patch.setattr(scene, "run_points", points_without_a_run)
        patch.setattr(features, "SIZES_PX", (32, 64))
        patch.setattr(features, "WAYS", 3)
        patch.setattr(costs, "SIZES_PX", (8, 16))
        patch.setattr(costs, "REPEATS", 3)
        patch.setattr(pictures, "SIDE_PX", 32)
        patch.setattr(pictures, "STEPS", 3)
        yield make_scene(weights=tiny_params(), size_px=32)


def points_without_a_run(content, style, params):
    """Blends in place of a run's pictures, for which a step would be compiled."""
    return {
        "start": content,
        "middle": 0.5 * (content + style),
        "end": 0.2 * content + 0.8 * style,
    }


def vectors(maps):
    return maps.reshape(-1, maps.shape[-1])


def products(maps):
    return gram.gram_matrix(maps)


def squares(ours, theirs):
    return jnp.mean((ours - theirs) ** 2)


def by_mean_of_squares(maps):
    return jnp.mean(vectors(maps) ** 2, axis=0)


def kurtosis(maps):
    centred = vectors(maps) - jnp.mean(vectors(maps), axis=0, keepdims=True)
    return jnp.mean(centred**4, axis=0) / jnp.mean(centred**2, axis=0) ** 2


def half_constant(maps):
    """Means that are held constant beside means of squares that are not."""
    means = jnp.mean(vectors(maps), axis=0)
    return jnp.stack([by_mean_of_squares(maps), 100 * jax.lax.stop_gradient(means)])


def other_when_compiled(maps):
    found = by_mean_of_squares(maps)
    return 2 * found if isinstance(maps, jax.core.Tracer) else found


def slow_means(maps):
    step = lambda _, x: jnp.sort(x, axis=0)  # noqa: E731
    return jnp.mean(jax.lax.fori_loop(0, 12, step, vectors(maps)), axis=0)


def fails(ours, theirs):
    raise TypeError("no such thing")


BROKEN = [
    # (what is wrong, statistic, distance, row's flags, probe, verdict, words)
    (
        "below 0",
        products,
        lambda a, b: -squares(a, b),
        {},
        "equality",
        WRONG,
        "below 0",
    ),
    (
        "not 0 at equality",
        products,
        lambda a, b: squares(a, 0.9 * b),
        {},
        "equality",
        WRONG,
        "at equality",
    ),
    (
        "constant gradient",
        lambda x: jax.lax.stop_gradient(products(x)) + 0 * products(x),
        squares,
        {},
        "gradient",
        WRONG,
        "not that of the value",
    ),
    ("half a gradient", half_constant, squares, {}, "gradient", LOOK, "held constant"),
    ("jit", other_when_compiled, squares, {}, "gradient", WRONG, "jit changes"),
    ("nan", kurtosis, squares, {}, "degenerate", WRONG, "value at"),
    (
        "gradient of a root",
        lambda x: jnp.sqrt(by_mean_of_squares(x)),
        squares,
        {},
        "degenerate",
        WRONG,
        "gradient at",
    ),
    (
        "float32's digits",
        lambda x: jnp.mean(vectors(x) ** 2, 0) - jnp.mean(vectors(x), 0) ** 2,
        lambda a, b: jnp.mean(jnp.abs(a - b)),
        {},
        "degenerate",
        LOOK,
        "float32 is off",
    ),
    (
        "a sum",
        lambda x: len(vectors(x)) * products(x),
        squares,
        {},
        "invariance",
        WRONG,
        "DISAGREES",
    ),
    (
        "a shy flag",
        products,
        squares,
        {"size_free": False},
        "invariance",
        LOOK,
        "the flag could be True",
    ),
    (
        "one shape",
        lambda x: x,
        squares,
        {},
        "invariance",
        WRONG,
        "cannot be compared",
    ),
    (
        "a weight for one size",
        lambda x: len(vectors(x)) * products(x),
        squares,
        {},
        "sizes",
        LOOK,
        "weigh it anew",
    ),
    (
        "no gradient",
        lambda x: jax.lax.stop_gradient(products(x)) + 0 * products(x),
        squares,
        {},
        "sizes",
        WRONG,
        "no gradient",
    ),
    (
        "overflow",
        lambda x: by_mean_of_squares(1e6 * x) ** 4,
        squares,
        {},
        "rounding",
        WRONG,
        "float32",
    ),
    (
        "a maximum",
        products,
        lambda a, b: -squares(a, b),
        {},
        "curvature",
        LOOK,
        "no minimum",
    ),
    ("slow", slow_means, squares, {}, "costs", LOOK, "times gram's"),
    (
        "gram again",
        products,
        lambda a, b: 3 * squares(a, b),
        {},
        "resemblance",
        LOOK,
        "gram 1.00",
    ),
    (
        "an error",
        products,
        fails,
        {},
        "equality",
        WRONG,
        "stopped by TypeError: no such",
    ),
]


def added(monkeypatch, statistic, distance, **flags):
    row = StyleLoss(statistic, distance, source="a test", captures="a test", **flags)
    monkeypatch.setitem(STYLE_LOSSES, "mine", row)
    return "mine"


@pytest.mark.parametrize(
    ("statistic", "distance", "flags", "probe", "verdict", "words"),
    [case[1:] for case in BROKEN],
    ids=[f"{case[4]}-{case[0]}" for case in BROKEN],
)
def test_a_probe_catches_a_broken_loss(
    statistic, distance, flags, probe, verdict, words, monkeypatch, small
):
    name = added(monkeypatch, statistic, distance, **flags)
    report = examine_in(small, name, layers=LAYERS, probes=(probe,))
    found = report.findings[probe]
    assert found.verdict == verdict, found.says
    assert words in found.says


@pytest.fixture(scope="module")
def report(small):
    """What is asked quickly, of a sound loss of two layers."""
    told = []
    found = examine_in(
        small,
        "covariance",
        layers=("block1_conv1", "relu2_1"),
        quick=True,
        on_probe=lambda *words: told.append(words),
    )
    assert {name for name, _ in told} == set(found.findings)
    return found


def test_a_sound_loss_passes_every_probe(report):
    facts = {"curvature": FACT, "resemblance": FACT}
    assert report.verdicts == dict.fromkeys(chosen_probes((), quick=True), OK) | facts
    assert report.layers == LAYERS
    assert "WRONG" not in repr(report) and "6 ok" in repr(report)


def test_a_report_is_json(report):
    document = as_json(report.document())
    assert list(document["findings"]) == chosen_probes((), quick=True)
    assert all(row["seconds"] >= 0 for row in document["findings"].values())
    assert not report.pictures


@pytest.mark.slow
def test_a_style_loss_makes_a_texture_and_three_transfers(small):
    report = examine_in(small, "covariance", layers=LAYERS, probes=("pictures",))
    assert report.verdicts == {"pictures": OK}
    labels = ["content", "style", "texture"]
    labels += [f"transfer x {factor:g}" for factor in pictures.FACTORS]
    assert list(report.pictures) == labels
    for image in report.pictures.values():
        assert image.shape == (32, 32, 3) and image.min() >= 0 and image.max() <= 1


def test_slopes_are_those_of_the_definition(report):
    numbers = report.findings["gradient"].numbers
    assert len(numbers["slopes"]) == 8
    # Central differences in float64 with steps of 1e-6: 1e-5 is what the probe grants.
    np.testing.assert_allclose(numbers["slopes"], numbers["differences"], rtol=1e-3)
    assert np.abs(numbers["slopes"]).min() > 0


def test_values_over_sizes_are_those_of_the_loss(report, small):
    numbers = report.findings["sizes"].numbers
    part = make_subject("covariance", layers=LAYERS)
    weights = even_weights(small, part, "content", 32)
    for side, value in zip((32, 64), numbers["values"], strict=True):
        ours, theirs = (small.maps(name, side) for name in ("content", "style"))
        each = [float(compute("covariance", ours[k], theirs[k])) for k in LAYERS]
        assert value == pytest.approx(float(np.dot(weights, each)), rel=1e-4)


def test_even_weights_let_every_layer_pull_alike(small):
    part = make_subject("gram", layers=LAYERS)
    weights = even_weights(small, part, "content", 32)
    for n, weight in enumerate(weights):
        alone = tuple(weight if n == m else 0.0 for m in range(2))
        pulled = small.gradient(part, "content", 32, alone)
        assert float(jnp.linalg.norm(pulled)) == pytest.approx(0.5, rel=1e-4)
    assert even_weights(small, make_subject("tv_mean_l2"), "content", 32) == (1.0,)


def test_the_gradient_is_that_of_the_image(small):
    part = make_subject("gram", layers=LAYERS)
    image, style = (small.picture(name, 32) for name in ("content", "style"))
    target = small.look(style)

    def loss(x):
        maps = scene.see(x, small.network, small.layers)
        each = [compute("gram", maps[k], target[k]) for k in LAYERS]
        return 2 * each[0] + 3 * each[1]

    found = small.gradient(part, "content", 32, (2.0, 3.0))
    expected = jax.jit(jax.grad(loss))(image)
    largest = float(jnp.abs(expected).max())
    np.testing.assert_allclose(found, expected, atol=1e-4 * largest, rtol=0)


def test_the_curvature_of_a_mean_of_squares_is_two_over_the_entries(small):
    part = make_subject("mean_squared", layers=("relu2_1",))
    numbers = features.curvature(Lab(part, small, 0, lambda words: None)).numbers
    entries = small.maps("content", 32)["relu2_1"].size
    for where in ("away", "equal"):
        np.testing.assert_allclose(numbers["ways"][where], 2 / entries, rtol=1e-9)
    assert numbers["positive"] == numbers["positive_at_equality"] == 1.0


@pytest.mark.parametrize("name", ["tv_mean_l2", "matting_laplacian", "adain_target"])
def test_pixel_and_content_losses_are_examined_too(name, small):
    quick = ("equality", "degenerate", "invariance", "resemblance")
    layers = ("relu2_1",) if name == "adain_target" else ()
    found = examine_in(small, name, layers=layers, probes=quick)
    assert WRONG not in found.verdicts.values(), found.findings
    changes = found.findings["invariance"].numbers["maps"]
    assert ("tiling" in changes) == (name == "tv_mean_l2")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tv_mean_l2", "adain_target"])
def test_pixel_and_content_losses_make_pictures(name, small):
    layers = ("relu2_1",) if name == "adain_target" else ()
    found = examine_in(small, name, layers=layers, probes=("pictures",))
    assert found.verdicts == {"pictures": OK}
    assert "texture" not in found.pictures and len(found.pictures) == 5


@pytest.mark.slow
def test_joint_and_keyed_losses_are_examined_too(small):
    probes = ("equality", "invariance", "rounding")
    for name in ("chained_gram", "sliced_wasserstein"):
        found = examine_in(small, name, layers=LAYERS, probes=probes)
        assert WRONG not in found.verdicts.values(), found.findings


def test_options_reach_the_loss(small):
    options = {"estimator": "linear"}
    found = [
        examine_in(small, "mmd_gaussian", layers=LAYERS, probes=["equality"], options=o)
        for o in ({}, options)
    ]
    values = [each.findings["equality"].numbers["unlike"] for each in found]
    assert values[0] != values[1] and found[1].options == options


def test_changes_are_what_they_are_called():
    x = jnp.arange(32.0).reshape(1, 4, 4, 2)
    grid = np.asarray(x[0])
    for name, expected in {
        "shift": np.roll(grid, (1, 1), (0, 1)),
        "rotation": np.rot90(grid),
        "mirror": grid[:, ::-1],
        "half": (grid[::2, ::2] + grid[1::2, ::2] + grid[::2, 1::2] + grid[1::2, 1::2])
        / 4,
        "tiling": np.concatenate([np.concatenate([grid, grid], 0)] * 2, 1),
    }.items():
        np.testing.assert_array_equal(CHANGES[name][1](x)[0], expected, err_msg=name)


SIDES = ((3.0, 4.0), (4.0, 3.0), (0.0, 0.0))


def test_the_cosine_is_that_of_all_entries_together():
    a, b, zero = ([jnp.full(1, x), jnp.full((1, 1), y)] for x, y in SIDES)
    assert cosine(a, b) == pytest.approx(24 / 25, abs=1e-12)
    assert np.isnan(cosine(a, zero))


def test_the_middle_of_a_picture_is_taken():
    image = picture(10, 16)
    np.testing.assert_array_equal(square(image), image[:, 3:13])
    np.testing.assert_array_equal(square(image.swapaxes(0, 1))[:, 0], image[0, 3:13])


def test_made_maps_have_the_sizes_of_vgg19():
    part = make_subject("gram")
    shapes = [x.shape for x in costs.made_maps(part, 64, seed=0).values()]
    sides = [(64, 64), (32, 128), (16, 256), (8, 512), (4, 512)]
    assert shapes == [(1, side, side, width) for side, width in sides]


def test_quick_leaves_out_costs_and_pictures():
    left = set(PROBES) - set(chosen_probes((), quick=True))
    assert left == {"costs", "pictures"}
    assert chosen_probes(("sizes", "equality"), quick=True) == ["equality", "sizes"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("grams",), "unknown loss 'grams'. Did you mean 'gram'?"),
        (("gram", "probes", ("cost",)), "unknown probe 'cost'. Did you mean 'costs'?"),
        (("gram", "options", {"skale": 1}), "skale"),
        (("gram", "size_px", 16), "size_px must be at least 32"),
        (("gram", "layers", ("relu9_1",)), "relu9_1"),
    ],
)
def test_bad_input_is_one_line_before_any_work(arguments, message):
    loss, *rest = arguments
    given = dict([rest]) if rest else {}
    with pytest.raises(ValueError) as info:
        jnst.examine(loss, weights=tiny_params(), **given)
    assert message in str(info.value) and "\n" not in str(info.value)
