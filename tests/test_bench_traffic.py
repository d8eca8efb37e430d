"""Bytes to and from main memory, on programs small enough to count by hand."""

import re
import types

import jax
import jax.numpy as jnp
import pytest

from jnst.bench import traffic
from jnst.bench.hlo import read_arrays, read_module
from jnst.bench.traffic import account, hbm_bytes

HBM, VMEM = "f32[8,128]{1,0:T(8,128)}", "f32[8,128]{1,0:T(8,128)S(1)}"
TILE = 4 * 8 * 128


def program(*lines, before="", root="ROOT %out = () tuple()"):
    """The text of a program whose entry has one parameter, `%p`, in main memory."""
    body = "\n".join(f"  {line}" for line in (f"%p = {HBM} parameter(0)", *lines, root))
    return (
        f"HloModule m\n\n{before}\nENTRY %main (p: f32[8,128]) -> () {{\n{body}\n}}\n"
    )


def fused(*lines):
    body = "\n".join(f"  {line}" for line in lines)
    return f"%inner (a: f32[64,128]) -> f32[8,128] {{\n{body}\n}}\n"


@pytest.mark.parametrize(
    ("line", "tiles"),
    [
        (f"%x = {HBM} copy(%p)", 2),
        (f"%x = {VMEM} copy(%p)", 1),  # into the chip's own memory
        (f"%x = {HBM} multiply(%p, %p)", 2),  # read once
        (f"%x = {HBM} bitcast(%p), metadata={{op_name='copy(%p)'}}", 0),
        (f"%x = {HBM} constant({{...}})", 0),
        (f'%x = {VMEM} custom-call(%p), custom_call_target="ConcatBitcast"', 0),
        (f'%x = {HBM} custom-call(%p), custom_call_target="tpu_custom_call"', 2),
        ("%x = f32[2,128]{1,0:T(2,128)} slice(%p), slice={[0:2], [0:128]}", 0.5),
        ("%x = f32[2,128]{1,0:T(2,128)S(1)} slice(%p), slice={[0:2], [0:128]}", 0.25),
        (f"%x = ({VMEM}, {HBM}, u32[]{{:S(2)}}) copy-start(%p)", 1),
        (f"%x = ({HBM}, {HBM}, u32[]{{:S(2)}}) collective-permute-start(%p)", 2),
        (
            f"%x = (({HBM}), f32[2,128]{{1,0:T(2,128)S(1)}}, s32[]{{:S(2)}}) "
            "slice-start(%p), slice={[0:2], [0:128]}",
            0.25,
        ),
    ],
)
def test_an_instruction_counts_what_it_moves_of_main_memory(line, tiles):
    assert hbm_bytes(program(line)) == tiles * TILE


def test_a_prefetch_counts_once_and_its_user_reads_none():
    text = program(
        f"%s = ({VMEM}, {HBM}, u32[]{{:S(2)}}) copy-start(%p)",
        f"%d = {VMEM} copy-done(%s)",
        f"%x = {VMEM} negate(%d)",
        f"%y = {HBM} negate(%x)",
    )
    assert hbm_bytes(text) == 2 * TILE  # in at the start, out at the end
    # XLA's way, whatever memory an array lies in: 2 of the copy, 2 of each negation.
    assert hbm_bytes(text.replace("S(1)", "")) == 6 * TILE


def test_an_update_in_place_counts_the_update():
    big = "f32[64,128]{1,0:T(8,128)}"
    text = program(
        f"%b = {big} parameter(1)",
        "%zero = s32[] constant(0)",
        f"%x = {big} dynamic-update-slice(%b, %p, %zero, %zero)",
    )
    assert hbm_bytes(text) == 2 * TILE


BIG = "f32[64,128]{1,0:T(8,128)}"


@pytest.mark.parametrize(
    ("inner", "result", "tiles"),
    [
        # A slice of eight: it is read, and written.
        ((f"ROOT %r = {HBM} slice(%a), slice={{[0:8], [0:128]}}",), HBM, 2),
        # The same under another name, and added to itself: still read once each.
        (
            (
                f"%b = {BIG} bitcast(%a)",
                f"%s = {HBM} dynamic-slice(%b, %z, %z), dynamic_slice_sizes={{8,128}}",
                f"ROOT %r = {HBM} add(%s, %s)",
            ),
            HBM,
            2,
        ),
        # A slice and the whole: the whole, eight tiles, and one result.
        (
            (
                f"%s = {HBM} slice(%a), slice={{[0:8], [0:128]}}",
                f"%n = {BIG} negate(%a)",
                f"%t = {HBM} slice(%n), slice={{[8:16], [0:128]}}",
                f"ROOT %r = {HBM} add(%s, %t)",
            ),
            HBM,
            9,
        ),
        # The result stays on the chip.
        ((f"ROOT %r = {HBM} slice(%a), slice={{[0:8], [0:128]}}",), VMEM, 1),
        # In place: one tile written, which a constant makes.
        (
            (
                f"%u = {HBM} constant({{...}})",
                f"ROOT %r = {BIG} dynamic-update-slice(%a, %u, %z, %z)",
            ),
            BIG,
            1,
        ),
    ],
)
def test_a_fusion_counts_what_it_takes_and_gives(inner, result, tiles):
    lines = (f"%a = {BIG} parameter(0)", "%z = s32[] constant(0)", *inner)
    call = f"%x = {result} fusion(%b), kind=kLoop, calls=%inner"
    text = program(f"%b = {BIG} parameter(1)", call, before=fused(*lines))
    assert hbm_bytes(text) == tiles * TILE


def test_a_loop_counts_one_pass_and_a_branch_the_dearest():
    one = f"%one (a: f32[8,128]) -> f32[8,128] {{\n  %a = {HBM} parameter(0)\n"
    one += f"  ROOT %c = {HBM} copy(%a)\n}}\n"
    none = one.replace("%one", "%none").replace("copy(", "bitcast(")
    loop = f"%x = {HBM} while(%p), condition=%none, body=%one, metadata={{}}"
    assert hbm_bytes(program(loop, before=one + none)) == 2 * TILE
    names = "branch_computations={%one, %none, %one}"
    choice = f"%x = {HBM} conditional(%p, %p, %p, %p), {names}"
    assert hbm_bytes(program(choice, before=one + none)) == 2 * TILE


def test_arrays_are_read_with_their_padding_and_memory():
    text = "(f32[3,3]{1,0:T(4,128)}, bf16[1,64,512,64]{3,2,1,0:T(8,128)(2,1)S(1)}, "
    text += "/*index=2*/pred[5]{0:T(512)(128)(4,1)}, f32[2,3]{0,1}, s4[6]{0:E(4)})"
    found = read_arrays(text)
    assert [array.space for array in found] == [0, 1, 0, 0, 0]
    expected = [4 * 4 * 128, 2 * 64 * 512 * 128, 512, 2 * 3 * 4, 3]
    assert [array.bytes for array in found] == expected


def test_a_text_without_an_entry_is_refused():
    with pytest.raises(ValueError, match="no ENTRY"):
        hbm_bytes("HloModule m\n")


@pytest.fixture(scope="module")
def compiled():
    def step(x, kernel):
        maps = jax.lax.conv_general_dilated(
            x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.tanh(maps).sum(), maps[:, 1:, ::2] * 2

    shapes = jnp.ones((1, 24, 24, 4)), jnp.ones((3, 3, 4, 4))
    return jax.jit(step).lower(*shapes).compile()


def test_without_memory_spaces_it_is_nearly_what_xla_counts(compiled):
    cost = compiled.cost_analysis()
    assert hbm_bytes(compiled.as_text()) == pytest.approx(
        cost["bytes accessed"], rel=0.1
    )
    names = {
        one.opcode
        for c in read_module(compiled.as_text())[0].values()
        for one in c.values()
    }
    assert {"parameter", "convolution", "fusion"} <= names


def test_on_a_cpu_xlas_own_figures_stand(compiled):
    found = account(compiled, "cpu")
    cost = compiled.cost_analysis()
    assert found["hbm_bytes"] == cost["bytes accessed"]
    assert found["flops_xla"] == cost["flops"] > 2 * 9 * 16 * 22 * 22
    assert found["hbm_bytes_source"] == traffic.FROM_XLA


def fake(text):
    cost = {"flops": 10.0, "bytes accessed": 7e9}
    return types.SimpleNamespace(cost_analysis=lambda: cost, as_text=lambda: text)


def test_on_a_tpu_the_text_is_counted():
    found = account(fake(program(f"%x = {VMEM} copy(%p)")), "TPU v5 lite")
    assert found["hbm_bytes"] == TILE and found["flops_xla"] == 10
    assert found["hbm_bytes_source"] == traffic.FROM_TEXT


def test_operations_of_a_library_are_unknown_and_its_arrays_counted():
    line = f'%x = {HBM} custom-call(%p), custom_call_target="__cudnn$convForward"'
    found = account(fake(program(line)), "NVIDIA H200")
    assert found["flops_xla"] is None
    assert found["hbm_bytes"] == 2 * TILE
    assert re.match("compiled text", found["hbm_bytes_source"])
