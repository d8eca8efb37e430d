"""Roots of positive matrices by products of matrices alone, and their traces.

Accelerators are slow at eigenvalues. Two ways: through the polar factor, which keeps
every digit, and crowsonkb's coupled Newton-Schulz iteration.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jnst.base import Scalar, matmul

Matrix = Float[Array, "c c"]

LOWEST = 1e-2


def scales(smallest: float, steps: int) -> list[float]:
    """Return the factors that let Newton-Schulz iterations converge soonest.

    Args:
      smallest: Least singular value to resolve, as a share of the matrix's norm.
      steps: Iterations.

    Returns:
      One factor an iteration, near 1 at the end.

    References:
      Chen & Chow, "A Stable Scaling of Newton-Schulz for Improving the Sign Function
      Computation of a Hermitian Matrix", 2014, eq. 9. It brings the largest value down
      to the smallest's height; ours never below 1e-2, where rounding would be seen.
    """
    low, found = smallest, []
    for _ in range(steps):
        height = max(low, LOWEST)
        found.append(math.sqrt(3 / (1 + height + height * height)))
        low = found[-1] * low * (3 - (found[-1] * low) ** 2) / 2
    return found


PLAIN_ITERATIONS = 12
ITERATIONS = {"sum": scales(1e-7, 22), "factored": scales(1e-4, 13)}
"""Factors of the iterations towards the polar factor, by form."""


BLOCK = 64
"""Channels of a block whose Cholesky factor is taken as a whole."""
LARGE = 1e30
"""Above any inverse's squared norm; of no matter to what is read."""


def frobenius_norm(matrix: Float[Array, "m c"]) -> Scalar:
    """Take the root of the sum of squares, which themselves may overflow; 1 for 0."""
    largest = jnp.max(jnp.abs(matrix))
    largest = jnp.where(largest > 0, largest, 1)
    norm = jnp.sqrt(jnp.sum((matrix / largest) ** 2))
    return largest * jnp.where(norm > 0, norm, 1)


def polar_factor(
    matrix: Float[Array, "m c"], *, form: str = "sum"
) -> Float[Array, "m c"]:
    """Approximate U V^T for a matrix U S V^T: its nearest with orthonormal rows.

    Args:
      matrix: [M, C]; of any rank, zero included.
      form: "sum" for 22 iterations, which resolve singular values down to 1e-7 of the
        norm, "factored" for 13, down to 1e-4. What is smaller, rounding included, stays
        between 0 and where it would go: an iteration cannot run away.

    Returns:
      [M, C], with no singular value above 1 but for rounding.

    References:
      Higham, "Functions of Matrices", 2008, section 8.3, scaled as `scales` says.
    """
    found = matrix / frobenius_norm(matrix)
    wide = matrix.shape[0] < matrix.shape[1]
    identity = jnp.eye(min(matrix.shape), dtype=matrix.dtype)
    for scale in ITERATIONS[form]:  # unrolled: XLA counts a loop's operations once
        product = matmul(*((found, found.T) if wide else (found.T, found)))
        correction = scale * (3 * identity - scale**2 * product) / 2
        found = matmul(*((correction, found) if wide else (found, correction)))
    return found


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def nuclear_norm(matrix: Float[Array, "m c"], form: str) -> Scalar:
    """Add up a matrix's singular values by its polar factor, which is the derivative.

    Derivatives of higher order go through the iteration.
    """
    return jnp.sum(polar_factor(matrix, form=form) * matrix)


@nuclear_norm.defjvp
def _norm_tangent(
    form: str, primals: tuple[Array], tangents: tuple[Array]
) -> tuple[Scalar, Scalar]:
    polar = polar_factor(*primals, form=form)
    return jnp.sum(polar * primals[0]), jnp.sum(polar * tangents[0])


def cholesky_with_inverse(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Factor S = L L^T, and invert L, by blocks.

    A library's solver of triangles would start threads on a CPU that wait, spinning,
    for the next call, and take the cores from the convolutions: the step of the recipe
    jnst took 1.9 times as long (128 px, 2 cores, jaxlib 0.10.2, median of 15 pairs).
    Cholesky's factor of a small block starts none, and that of [[S, I], [I, b I]] holds
    L^-T below L.

    Args:
      matrix: Symmetric, positive definite, [C, C].

    Returns:
      L and its inverse, lower triangles, [C, C].
    """
    size = matrix.shape[0]
    if size <= BLOCK:
        around = np.kron([[0, 1], [1, LARGE]], np.eye(size)).astype(matrix.dtype)
        joined = jnp.pad(matrix, (0, size)) + around
        lower = jax.lax.linalg.cholesky(joined, symmetrize_input=False)
        return lower[:size, :size], lower[size:, :size].T
    half = size // 2
    first, first_inverse = cholesky_with_inverse(matrix[:half, :half])
    under = matmul(matrix[half:, :half], first_inverse.T)
    rest = matrix[half:, half:] - matmul(under, under.T)
    last, last_inverse = cholesky_with_inverse(rest)
    under_inverse = -matmul(last_inverse, matmul(under, first_inverse))
    none = jnp.zeros((half, size - half), matrix.dtype)
    return (
        jnp.block([[first, none], [under, last]]),
        jnp.block([[first_inverse, none], [under_inverse, last_inverse]]),
    )


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def coupling(covariance: Matrix, root: Float[Array, "k c"], form: str) -> Scalar:
    """Compute tr (R S R^T)^1/2, the covariance that optimal transport leaves.

    With S = L L^T it is the nuclear norm of L^T R^T, whose singular values keep the
    digits that those of R S R^T, their squares, lose. The derivative by S is half of
    L^-T U R, U the polar factor: no inverse of S is formed.

    Args:
      covariance: S, positive definite, [C, C].
      root: R, whose R^T R is the other covariance, frozen.
      form: Key of `ITERATIONS`.
    """
    lower, _ = cholesky_with_inverse(covariance)
    return nuclear_norm(matmul(lower.T, root.T), form)


@coupling.defjvp
def _coupling_tangent(
    form: str, primals: tuple[Matrix, Array], tangents: tuple[Matrix, Array]
) -> tuple[Scalar, Scalar]:
    lower, inverse = cholesky_with_inverse(primals[0])
    product = matmul(lower.T, primals[1].T)
    polar = polar_factor(product, form=form)
    transported = matmul(inverse.T, matmul(polar, primals[1]))
    return jnp.sum(polar * product), jnp.sum(transported * tangents[0]) / 2


@jax.jit  # traced once a shape
def newton_schulz_roots(matrix: Matrix) -> tuple[Matrix, Matrix]:
    """Approximate a symmetric positive matrix's root and inverse root.

    Args:
      matrix: Symmetric, positive definite, [C, C].

    Returns:
      Root and inverse root, by 12 coupled iterations: eigenvalues down to about 1e-4 of
      the norm are resolved.

    References:
      Higham, "Functions of Matrices", 2008, section 6.3;
      crowsonkb/style-transfer-pytorch, `sqrtm_ns`.
    """
    norm = frobenius_norm(matrix)
    identity = jnp.eye(matrix.shape[0], dtype=matrix.dtype)
    root, inverse = matrix / norm, identity
    for number in range(PLAIN_ITERATIONS):
        product = matmul(inverse, root) if number else root
        correction = (3 * identity - product) / 2
        root = matmul(root, correction)
        inverse = matmul(correction, inverse) if number else correction
    return root * jnp.sqrt(norm), inverse / jnp.sqrt(norm)


@jax.custom_jvp
def trace_of_root(matrix: Matrix) -> Scalar:
    """Take the trace of the symmetric root by Newton-Schulz iterations.

    The derivative is half the inverse root, which the coupled iteration yields anyway;
    crowsonkb's code solves a Lyapunov equation for it instead. Derivatives of higher
    order go through the iteration.
    """
    return jnp.trace(newton_schulz_roots(matrix)[0])


@trace_of_root.defjvp
def _trace_tangent(
    primals: tuple[Matrix], tangents: tuple[Matrix]
) -> tuple[Scalar, Scalar]:
    root, inverse = newton_schulz_roots(*primals)
    return jnp.trace(root), jnp.sum(inverse * tangents[0]) / 2
