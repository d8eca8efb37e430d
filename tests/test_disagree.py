"""`jnst disagree`: one loss is held, the other goes as far as it can; its pieces."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_cli import error_line, tiny_file  # noqa: F401
from tiny import picture

import jnst
from jnst.cli.main import main
from jnst.drivers.disagreement import DRIFT, number, title
from jnst.image import load_image, save_image
from jnst.loop import held
from jnst.losses import STYLE_LOSSES

pytestmark = pytest.mark.usefixtures("quick_compile")
PICTURE = picture(20, 24)
SHALLOW = ("relu1_1", "relu2_1")


@pytest.fixture(scope="module")
def gram_and_moments(vgg19):
    """Gram against means and deviations, at two layers; and what was told meanwhile."""
    moments = []
    options = {"layers": SHALLOW, "steps": 25, "weights": vgg19}
    found = jnst.disagree(
        "gram", "mean_std", PICTURE, on_step=moments.append, **options
    )
    return found, moments


def title_of(run):
    return run.held, run.moved, run.direction


def worked(seed, shape):
    """modern.md, section 0: q(s; shape), the first five rows, less a half."""
    n = np.arange(1, 1 + np.prod(shape), dtype=np.int64)
    k = n + 31 * seed
    return (((k**3 + 7 * seed * k) % 1009) / 1024).reshape(shape)[:5] - 0.5


def test_the_projection_is_that_of_the_worked_example(maybe_jit):
    # modern.md, M16, "Projection", and the definition in float64.
    image, slope = worked(31, (6, 5, 3)), worked(32, (6, 5, 3))
    found = maybe_jit(held.project_off)(*(jnp.float32(x) for x in (image, slope)))
    np.testing.assert_allclose(found[1, 2, 0], 0.4569724772, rtol=2e-5, atol=0)
    share = sum((image * slope).ravel()) / sum((slope**2).ravel())
    np.testing.assert_allclose(found, image - share * slope, rtol=2e-5, atol=1e-6)
    assert abs(np.vdot(np.asarray(found, np.float64), slope)) < 1e-5
    zeros = jnp.zeros(slope.shape)
    np.testing.assert_array_equal(held.project_off(found, zeros), found)


def a_goal(sign=1.0, which=0):
    start = jnp.asarray([2.0, 3.0])
    return held.Goal(start, jnp.asarray(which), jnp.asarray(sign), jnp.asarray(0.01))


def a_walk(image, seed=0):
    slopes = np.random.default_rng(seed).normal(size=(2, *image.shape))
    seen = held.Seen(jnp.asarray([2.01, 3.0]), jnp.asarray(slopes, jnp.float32))
    return held.begin(jnp.asarray(image, jnp.float32), seen)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_proposal_is_the_projected_step_and_the_correction(sign):
    image = np.random.default_rng(1).uniform(0.2, 0.8, (4, 5, 3))
    image[0, 0], image[1, 1] = 0, 1
    walk = a_walk(image)
    image, slopes = np.asarray(walk.image, np.float64), np.asarray(walk.seen.slopes)
    rate, slopes = 0.01, np.asarray(slopes, np.float64)
    kept = slopes[0]

    def off(array):
        return array - (array * kept).sum() / (kept**2).sum() * kept

    gradient = off(sign * slopes[1])
    step = off(-gradient / (np.abs(gradient) + 1e-8))  # Adam's first
    for index in np.ndindex(*image.shape):
        leaves = (image[index] <= 0 > step[index]) or (
            image[index] >= 1 < 1 + step[index]
        )
        step[index] = 0 if leaves else step[index]
    step = rate * off(step) - np.log(2.01 / 2) / (kept**2).sum() * kept
    found = jax.jit(held.propose)(walk, a_goal(sign), jnp.asarray(rate)).candidate
    expected = np.clip(image + step, 0, 1)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
    assert np.abs(expected - image).max() > 0.005


@pytest.mark.parametrize(
    ("values", "taken"),
    [
        ([2.0, 1.0], True),
        ([2.019, 1.0], True),
        ([2.03, 1.0], False),  # the held loss is 1.5 % off
        ([2.0, np.nan], False),
        ([2.0, 0.0], False),  # no logarithm
        ([np.nan, 1.0], False),
    ],
)
def test_a_candidate_that_lets_go_is_refused_and_the_pace_halved(values, taken):
    walk = a_walk(PICTURE[:4, :5])
    walk = walk._replace(candidate=walk.image / 2, proposed=walk.moments)
    seen = held.Seen(jnp.asarray(values, jnp.float32), walk.seen.slopes)
    found = jax.jit(held.settle)(walk, seen, a_goal())
    expected = walk.candidate if taken else walk.image
    np.testing.assert_array_equal(found.image, expected)
    np.testing.assert_array_equal(found.best, expected)
    assert float(found.pace) == (1.0 if taken else 0.5)
    assert bool(jnp.isfinite(found.seen.values).all())
    assert float(found.best_change) == pytest.approx(
        np.log(1 / 3) if taken else 0, rel=1e-6, abs=0
    )


def test_slopes_are_gradients_of_logarithms(vgg19):
    terms = (
        jnst.Term("a", "gram", ("relu1_1",)),
        jnst.Term("b", "mean_squared", ("image",)),
    )
    with jax.enable_x64(True):
        objective = jnst.make_objective(PICTURE, PICTURE, weights=vgg19, terms=terms)
        image = jnp.asarray(np.clip(PICTURE + 0.1, 0, 1), jnp.float64)
        way = np.random.default_rng(0).normal(size=image.shape)
        seen = jax.jit(held.look)(objective, image, jax.random.key(0))
        step, ends = 1e-7, []
        for end in (-step, step):
            there = objective.terms(image + end * way)
            ends.append(np.log([float(there["a"]), float(there["b"])]))
        expected = (ends[1] - ends[0]) / (2 * step)
        found = np.sum(np.asarray(seen.slopes) * way, axis=(1, 2, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=0)


def test_one_loss_is_held_and_the_other_is_lowered_and_raised(gram_and_moments):
    found, moments = gram_and_moments
    assert [m.step for m in moments] == [0, 5, 10, 15, 20, 25] * 4
    assert [m.number for m in moments[::6]] == [0, 1, 2, 3]
    ways = [(run.held, run.moved, run.direction) for run in found.runs]
    assert ways == [
        ("gram", "mean_std", "lowered"),
        ("gram", "mean_std", "raised"),
        ("mean_std", "gram", "lowered"),
        ("mean_std", "gram", "raised"),
    ]
    for run in found.runs:
        assert not run.error and abs(run.drift_percent) < 100 * DRIFT
        # A factor of 1.3, which no drift of a hundredth explains.
        assert (run.moved_loss < 1 / 1.3) == (run.direction == "lowered"), title(run)
        assert (run.moved_loss > 1.3) == (run.direction == "raised"), title(run)
        assert run.image.shape == PICTURE.shape and run.image.dtype == np.float32
        assert 0 <= run.image.min() and run.image.max() <= 1
        kept = run.curves[run.held]
        (last,) = [m for m in moments if m[1:5] == (*title_of(run), 25)]
        assert last.held_loss == kept[-1]
        assert last.moved_loss == run.curves[run.moved][-1]
        assert kept.shape == (26,) and np.abs(kept - 1).max() < DRIFT
        assert run.curves[run.moved][0] == 1 and run.redrawn_percent is None


def test_losses_of_the_pictures_are_those_of_the_public_objective(
    gram_and_moments, vgg19
):
    found, _ = gram_and_moments
    for label, loss in (("a", "gram"), ("b", "mean_std")):
        objective = jnst.make_objective(
            None,
            PICTURE,
            weights=vgg19,
            terms=(jnst.Term(label, loss, SHALLOW),),
        )
        start = float(objective(found.start))
        assert start == pytest.approx(found.values[loss], rel=1e-5)
        for run in found.runs:
            ratio = float(objective(run.image)) / start
            told = run.moved_loss if run.moved == loss else 1 + run.drift_percent / 100
            assert ratio == pytest.approx(told, rel=1e-4)
        assert float(objective(PICTURE)) < 1e-6 * start


@pytest.mark.parametrize(
    ("losses", "changes"),
    [
        (("ssim", "sliced_wasserstein"), {}),
        (("chained_gram", "mean_squared"), {"b_layers": ("image",)}),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_all_kinds_of_losses_are_held(losses, changes, vgg19):
    found = jnst.disagree(
        *losses, PICTURE, layers=SHALLOW, steps=12, weights=vgg19, **changes
    )
    for run in found.runs:
        assert not run.error, run.error
        assert abs(run.drift_percent) < 100 * DRIFT
        assert (run.moved_loss < 1) == (run.direction == "lowered")
        keyed = getattr(STYLE_LOSSES.get(run.held), "keyed", False)
        assert (run.redrawn_percent is not None) == keyed


def test_the_extremes_of_a_weighted_distance_are_found():
    # Held: the mean of d^2. Moved: that of w d^2, w 1 or 4: from 1 to 4 times the held.
    middle = np.full((6, 8, 3), 0.5, np.float32)
    weights = np.where(np.arange(8) < 4, 1.0, 4.0)[None, :, None].astype(np.float32)

    def even(maps):
        return jnp.mean((maps["image"][0] - middle) ** 2)

    def uneven(maps):
        return jnp.mean(
            jnp.broadcast_to(weights, middle.shape) * (maps["image"][0] - middle) ** 2
        )

    found = jnst.disagree(
        even,
        uneven,
        middle,
        layers=("image",),
        sigma=0.05,
        steps=120,
        extract=lambda image: {"all": image},
    )
    level = found.values["uneven"] / found.values["even"]
    lowered, raised = found.runs[:2]
    np.testing.assert_allclose(lowered.moved_loss * level, 1, rtol=0.03)
    np.testing.assert_allclose(raised.moved_loss * level, 4, rtol=0.03)


def test_two_losses_that_cannot_disagree_are_told(vgg19):
    found = jnst.disagree(
        "mean_squared", "sum", PICTURE, layers=SHALLOW[:1], steps=4, weights=vgg19
    )
    assert found.cosine == pytest.approx(1, abs=1e-5)
    for run in found.runs:
        assert "could not be" in run.error and run.held in run.error
        assert abs(run.drift_percent) < 100 * DRIFT


def test_a_loss_that_cannot_be_held_is_told(vgg19):
    # Steep, with a gradient that says nothing of it: every step lets it go.
    @jax.custom_vjp
    def steep(x):
        return jnp.exp(200 * jnp.log(jnp.mean(x)))

    def forward(x):
        return steep(x), x

    def backward(x, cotangent):
        return (cotangent * jnp.roll(x, 5, axis=1) * steep(x),)

    steep.defvjp(forward, backward)

    def lost(maps):
        return steep(maps["image"] + 0.5)

    options = {"layers": SHALLOW[:1], "a_layers": ("image",), "weights": vgg19}
    found = jnst.disagree(lost, "gram", PICTURE, steps=3, **options)
    for run in found.runs[:2]:
        assert run.error.startswith("gram could not be")
        assert run.moved_loss == 1 and run.drift_percent == 0
        np.testing.assert_array_equal(run.image, found.start)


@pytest.mark.parametrize(
    ("arguments", "changes", "message"),
    [
        (("gran", "mean_std"), {}, "unknown loss 'gran'. Did you mean 'gram'"),
        (("gram", "gram"), {}, "loss A and loss B are the same, 'gram'"),
        (("gram", "mean_std"), {"steps": 0}, "steps must be at least 1"),
        (("gram", "mean_std"), {"sigma": 0}, "sigma must be above 0"),
        (("gram", "mean_std"), {"layers": ("relu9_9",)}, "relu9_9"),
        (("gram", "mean_std"), {"learning_rate": 1.0}, "unknown field"),
        (("gram", "mean_std"), {"a_weight": 1.0}, "unknown field"),
        (("gram", "mean_std"), {"a_options": {"x": 1}}, "option of loss 'gram'"),
        (("gram", "mean_std"), {"picture": PICTURE[:7]}, "is 7x24"),
        (("gram", "mean_std"), {"picture": PICTURE[None]}, "one image"),
        (("gram", "mean_std"), {"picture": PICTURE * 9}, "in [0, 1]"),
    ],
)
def test_what_could_not_run_is_refused_in_a_line(arguments, changes, message, vgg19):
    given = {"layers": ("relu4_1",), "weights": vgg19, "picture": PICTURE, **changes}
    with pytest.raises(ValueError) as caught:
        jnst.disagree(*arguments, **given)
    assert message in str(caught.value)


def test_the_same_loss_at_other_layers_is_another(vgg19):
    found = jnst.disagree(
        "gram",
        "gram",
        np.full((18, 17, 3), 0.5, np.float32),  # flat: only the noise has features
        weights=vgg19,
        steps=8,
        a_layers=("relu1_1",),
        b_layers=("relu2_1",),
    )
    assert found.labels == ("gram at relu1_1", "gram at relu2_1")
    assert [run.error for run in found.runs] == [""] * 4


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1.00"),
        (0.0059, "0.0059"),
        (201.4, "201"),
        (5.794, "5.79"),
        (2e7, "2e+07"),
    ],
)
def test_ratios_are_written_as_people_read_them(value, text):
    assert number(value) == text


def disagree(*arguments):
    return main(["disagree", *map(str, arguments)])


@pytest.fixture
def small(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_image(tmp_path / "small.png", PICTURE)
    return tmp_path


def test_the_command_writes_a_sheet_and_json(small, tiny_file, capsys):  # noqa: F811
    options = ["--picture", "small.png", "--size", 24, "--layers", "relu1_1,relu2_1"]
    options += ["--weights", tiny_file, "--steps", 8, "-o", "sheet.png"]
    assert disagree("gram", "mean_std", *options, "--json", "sheet.json") == 0
    out, err = capsys.readouterr()
    assert out.split()[-2:] == ["sheet.png", "sheet.json"] and "drift" in out
    assert "s in the runs" in err
    assert min(load_image("sheet.png").shape[:2]) > 500
    document = json.loads((small / "sheet.json").read_text())
    assert document["losses"] == ["gram", "mean_std"]
    assert document["largest_drift_percent"] < 1 and document["device"]
    assert document["versions"]["jnst"] == jnst.__version__
    assert len(document["runs"]) == 4
    for run in document["runs"]:
        assert len(run["curves"][run["held"]]) == 9 and run["error"] == ""
    assert disagree("gram", "mean_std", *options) == 2
    assert "exists already" in error_line(capsys.readouterr().err)


def test_the_command_ends_with_1_where_losses_do_not_disagree(
    small,
    tiny_file,  # noqa: F811
    capsys,
):
    options = ["--picture", "small.png", "--size", 24, "--layers", "relu1_1"]
    options += ["--weights", tiny_file, "--steps", 2, "-o", "sheet.png"]
    assert disagree("mean_squared", "sum", *options) == 1
    out, err = capsys.readouterr()
    assert "jnst: error: sum could not be lowered" in err
    assert (small / "sheet.png").exists() and "sheet.png" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("gram", "cov", "-o", "s.png"), "unknown loss 'cov'"),
        (("gram", "mean_std", "-o", "s.gif"), "must end in one of"),
        (("gram", "mean_std", "-o", "s.png", "--steps", "0"), "steps must be"),
        (("gram", "mean_std", "-o", "s.png", "--picture", "no.png"), "no.png"),
        (("gram", "mean_std", "-o", "s.png", "--set", "beta1=0"), "unknown field"),
    ],
)
def test_bad_words_end_with_2(words, message, small, capsys):
    assert disagree(*words) == 2
    assert message in error_line(capsys.readouterr().err)
