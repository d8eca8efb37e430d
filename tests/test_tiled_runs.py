"""Steps and runs in tiles: the pictures of runs without, and what is refused."""

import jax.numpy as jnp
import numpy as np
import pytest
from tiny import picture, tiny_params

import jnst
from jnst.cli.main import main
from jnst.image import save_image
from jnst.scale import building, memory
from jnst.scale.parking import is_large
from jnst.weights import save_weights

pytestmark = pytest.mark.usefixtures("quick_compile")
PARAMS = tiny_params()
CONTENT, STYLE = picture(71, 83, 1), picture(70, 66, 2)
FIELDS = {
    "weights": PARAMS,
    "shift_px": 4,
    "style_loss": "gram",
    "style_weight": 1.0,
    "content_weight": 1.0,
    "style_layers": ("relu1_1", "relu3_1"),
    "content_layers": ("relu3_1",),
    "learning_rate": 0.02,
}


SGD = {"optimizer": "sgd", "learning_rate": 5.0, "clip": False}
"""Adam divides by the gradient's own size: rounding would show where that is small."""


def objective_of(tile_px=64, content=CONTENT, style=STYLE, **changes):
    return jnst.make_objective(content, style, tile_px=tile_px, **(FIELDS | changes))


@pytest.fixture(scope="module")
def plain():
    """Three steps without tiles: images and losses."""
    objective = objective_of("none", **SGD)
    assert objective.structure.tile_px == 0
    return steps_of(objective)


def steps_of(objective):
    state, found = jnst.init(objective), []
    for _ in range(3):
        state, losses = jnst.step(objective, state)
        found.append((np.asarray(state.image), losses))
    return found


@pytest.mark.parametrize("most_kept", [2**30, 0])
def test_steps_that_shift_are_the_same_in_tiles(plain, most_kept, monkeypatch):
    monkeypatch.setattr(building, "MOST_KEPT", most_kept)
    objective = objective_of(**SGD)
    assert objective.structure.tile_px == 64
    anew = objective.turns.content is not None
    assert anew is (most_kept == 0)
    for (image, losses), (ours, found) in zip(plain, steps_of(objective), strict=True):
        moved = float(np.abs(image - CONTENT).max())
        assert moved > 1e-3
        np.testing.assert_allclose(ours, image, atol=1e-4 * moved + 1e-6)
        assert list(found) == list(losses)
        for name, loss in losses.items():
            np.testing.assert_allclose(found[name], loss, rtol=1e-4)
    if anew:
        with pytest.raises(ValueError, match="targets of term 'content' are too large"):
            objective(CONTENT)
    else:
        np.testing.assert_allclose(objective(CONTENT), plain[0][1]["loss"], rtol=1e-5)


def test_a_run_from_coarse_to_fine_is_the_same_in_tiles():
    sizes = {"steps": 5, "scale_steps": (2, 3), "scale_ratio": 1.4, "min_size_px": 59}
    results = [
        jnst.stylize(
            CONTENT, STYLE, tile_px=tile_px, **(FIELDS | sizes | {"returns": "ema"})
        )
        for tile_px in ("none", 64)
    ]
    assert [stage.shape for stage in results[1].stages] == [(50, 59), (71, 83)]
    np.testing.assert_allclose(results[0].image, results[1].image, atol=1e-4)
    losses = [result.history["loss"] for result in results]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert results[1].recipe.tile_px == 64


def test_a_step_leaves_its_state_alone_and_a_texture_needs_no_content():
    objective = objective_of(content=None, shift_px=0)
    state = jnst.init(objective)
    before = np.asarray(state.image)
    after, _ = jnst.step(objective, state)
    np.testing.assert_array_equal(state.image, before)
    assert float(jnp.abs(after.image - before).max()) > 1e-3


REFUSED = [
    ({"style_loss": "histogram"}, "'style' with loss 'histogram'.*unlike gram, "),
    ({"style_loss": "chained_gram"}, "'style' with loss 'chained_gram'"),
    ({"content_loss": "scaled"}, "'content' with loss 'scaled'.*unlike mean_squared"),
    ({"content_loss": "adain_target"}, "feature maps of the style"),
    ({"style_pyramid": 2}, "style_pyramid=2"),
    ({"content_layers": ("image", "relu1_1")}, "pixels and features at once"),
    ({"normalize_gradients": True}, "normalize_gradients=true"),
    ({"diagnostics": True}, "diagnostics=true"),
    ({"content": np.stack([CONTENT, CONTENT])}, "a batch"),
    ({"optimizer": "lbfgs", "cooldown": 0}, "optimizer=adam or lbfgs_torch"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=lambda x: str(x)[:30])
def test_what_tiles_do_not_serve_is_refused_by_name(changes, words):
    with pytest.raises(ValueError, match=f"^tile_px cannot serve .*{words}") as error:
        objective_of(**({"style_weight": 1.0} | changes))
    assert "set tile_px=none" in str(error.value) and "\n" not in str(error.value)


def test_functions_of_features_and_ones_own_features_are_refused():
    terms = (jnst.Term("mine", lambda maps: jnp.mean(maps["relu1_1"]), ("relu1_1",)),)
    with pytest.raises(ValueError, match="'mine' with loss .* function of whole"):
        jnst.make_objective(CONTENT, STYLE, weights=PARAMS, terms=terms, tile_px=64)
    own = {"extract": lambda image: {"relu1_1": image}, "tile_px": 64}
    layers = {"style_layers": ("relu1_1",), "content_layers": ("relu1_1",)}
    with pytest.raises(ValueError, match="tile_px cannot serve extract="):
        jnst.make_objective(CONTENT, STYLE, **own, **layers)


def test_an_image_no_larger_than_a_tile_is_seen_whole_whatever_its_loss():
    objective = objective_of(96, style_loss="histogram", style_weight=1.0)
    assert objective.structure.tile_px == 0


@pytest.mark.parametrize(
    ("free", "side"), [(2**40, 0), (2**30, 256), (2**33, 1024), (2**27, 128)]
)
def test_auto_takes_the_largest_tile_that_fits(free, side, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    assert memory.tile_for("auto", None, (4096, 4096)) == side
    assert memory.tile_for("auto", None, (100, 100)) == 0


def test_there_is_some_memory():
    assert 2**28 < memory.available_bytes() < 2**50


def test_the_command_line_takes_tiles(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_image("content.png", CONTENT)
    save_image("style.png", STYLE)
    save_weights(PARAMS, "tiny.safetensors", title="tiny VGG19", licence="MIT")
    run = ["stylize", "content.png", "style.png", "-o", "out.png", "--size", "83"]
    run += ["--weights", "tiny.safetensors", "--steps", "1"]
    for fields in ("style_layers=relu1_1", "content_layers=relu2_1", "shift_px=0"):
        run += ["--set", fields]
    assert main([*run, "--tile-px", "64"]) == 0
    assert jnst.Recipe.from_png("out.png").tile_px == 64
    for value, words in (
        ("12", "tile_px must be at least 64, got 12"),
        ("big", "tile_px must be a whole number or none or auto, got 'big'"),
    ):
        assert main([*run, "--overwrite", "--tile-px", value]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.slow
def test_bfloat16_is_the_same_in_tiles():
    """But for a rounding here and there: windows are the same numbers."""
    found = []
    for tile_px in ("none", 64):
        objective = objective_of(tile_px, dtype="bfloat16", **SGD)
        _, losses = jnst.step(objective, jnst.init(objective))
        found.append(losses)
    for name in found[0]:
        np.testing.assert_allclose(found[1][name], found[0][name], rtol=1e-4)


def test_a_large_state_waits_in_the_hosts_memory(monkeypatch):
    """XLA's CPU has a memory of that name too; steps are those of one that stays."""
    from jnst.loop import iterate

    objective, kinds, images = objective_of(optimizer="adam"), [], []
    for large in (True, False):
        monkeypatch.setattr(iterate, "is_large", lambda state, large=large: large)
        for event in jnst.iterate(objective, steps=3, every=1):
            kinds.append(event.state.good.sharding.memory_kind)
            assert event.state.image.sharding.memory_kind == "device"
        images.append(event.image)
    assert kinds == ["pinned_host"] * 3 + ["device"] * 3
    np.testing.assert_array_equal(*images)


def test_a_cpu_has_no_other_memory_to_wait_in():
    assert not is_large(jnp.zeros((1, 10**4, 10**4, 3)))
