import keras
import numpy as np
from keras import ops

TILE = 4  # more outputs a tile would cost digits
POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="ram_tf")
class FeatureDecoder(keras.layers.Layer):
    """Imagines the features of every cell of a grid from one latent vector.

    Transposed 3x3 convolutions, valid and of stride one, grow the vector from 1x1 until
    it covers the grid and are cropped to its centre; 3x3 convolutions with replicated
    borders follow. After each but the last comes a leaky ReLU and a layer norm over
    channels, rows and columns, whose scale and offset have that shape too.

    The convolutions are computed as in Winograd's fast algorithms: one constant matrix
    takes the cells to points, where a convolution is a matrix product for each point,
    and another takes the points back. That is about a quarter of the multiplications,
    three matrix products and no padding, for half a digit of float32. Kernels are
    `(3, 3, inputs, units)`.

    Args:
        units: Int. Width of every convolution and of the features.
        grid: Tuple of ints `(rows, columns)`.
        num_convolutions: Int >= 1. Convolutions after the transposed ones.

    Call arguments:
        latents: Tensor `(batch, latent_units)`.

    Returns:
        Features `(batch, rows * columns, units)`, row by row.

    Reference:
        [Rangrej and Clark, 2021](https://arxiv.org/abs/2111.07534), section 3.1;
        [Lavin and Gray, 2016](https://arxiv.org/abs/1509.09308), section 4.
    """

    def __init__(
        self, units=128, grid=(7, 7), num_convolutions=6, dtype="float32", **kwargs
    ):
        super().__init__(dtype=dtype, **kwargs)
        if num_convolutions < 1 or min(grid) < 1:
            raise ValueError(
                "`num_convolutions` and both sizes of `grid` must be at least 1. "
                f"Received: num_convolutions={num_convolutions}, grid={grid}."
            )
        self.units = units
        self.grid = tuple(grid)
        self.num_convolutions = num_convolutions
        num_transposed = max(self.grid) // 2
        transforms = []
        for i in range(num_transposed):
            side = 2 * i + 1
            last = i == num_transposed - 1
            kept = self.grid if last else (side + 2, side + 2)
            transforms.append([_transposed(side, size) for size in kept])
        transforms += [[_replicated(size) for size in self.grid]] * num_convolutions
        self.convolutions = [
            _FastConvolution(
                units, *axes, dtype=self.dtype_policy, name=f"convolution_{i}"
            )
            for i, axes in enumerate(transforms)
        ]
        self.norms = [
            _JointNorm(dtype=self.dtype_policy, name=f"norm_{i}")
            for i in range(len(transforms) - 1)
        ]

    def build(self, input_shape):
        shape = (1, *input_shape)
        for i, convolution in enumerate(self.convolutions):
            convolution.build(shape)
            shape = convolution.compute_output_shape(shape)
            if i < len(self.norms):
                self.norms[i].build(shape)
        self.built = True

    def call(self, latents):
        x = latents[None]  # (cells, batch, channels)
        for convolution, norm in zip(self.convolutions, self.norms):
            x = norm(ops.leaky_relu(convolution(x), negative_slope=0.01))
        return ops.transpose(self.convolutions[-1](x), (1, 0, 2))

    @property
    def saved_flops(self):
        """Operations that direct convolutions would need more, for one latent."""
        return sum(_saved_flops(convolution) for convolution in self.convolutions)

    def compute_output_shape(self, input_shape):
        rows, columns = self.grid
        return (*input_shape[:-1], rows * columns, self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "grid": self.grid,
            "num_convolutions": self.num_convolutions,
        }


class _FastConvolution(keras.layers.Layer):
    """3x3 convolution of `(cells, batch, channels)`, given each axis's transforms."""

    def __init__(self, units, rows, columns, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        from_points, from_kernel, from_cells = (
            np.kron(row, column).astype("float32") for row, column in zip(rows, columns)
        )
        self.from_points = from_points
        self.from_kernel = from_kernel
        self.from_cells = from_cells

    def build(self, input_shape):
        self.kernel = self.add_weight(
            name="kernel",
            shape=(3, 3, input_shape[-1], self.units),
            initializer="glorot_uniform",
        )
        self.bias = self.add_weight(
            name="bias", shape=(self.units,), initializer="zeros"
        )
        self.built = True

    def call(self, x):
        points = self.from_kernel.shape[0]
        channels = x.shape[-1]
        kernel = ops.matmul(self.from_kernel, ops.reshape(self.kernel, (9, -1)))
        kernel = ops.reshape(kernel, (points, channels, self.units))
        x = ops.matmul(self.from_cells, ops.reshape(x, (x.shape[0], -1)))
        x = ops.matmul(ops.reshape(x, (points, -1, channels)), kernel)
        x = ops.matmul(self.from_points, ops.reshape(x, (points, -1)))
        return ops.reshape(x, (x.shape[0], -1, self.units)) + self.bias

    def compute_output_shape(self, input_shape):
        return (len(self.from_points), input_shape[1], self.units)


def _saved_flops(convolution):
    outputs, kernel, cells = (
        convolution.from_points,
        convolution.from_kernel,
        convolution.from_cells,
    )
    terms = np.einsum("op,pk,pi->oki", outputs, kernel, cells)
    inputs, units = convolution.kernel.shape[2:]
    direct = np.count_nonzero(np.abs(terms) > 1e-3) * inputs * units
    done = cells.size * inputs + len(kernel) * inputs * units + outputs.size * units
    return 2 * int(direct - done)


class _JointNorm(keras.layers.Layer):
    """Layer norm of `(cells, batch, channels)` over cells and channels."""

    def build(self, input_shape):
        shape = (input_shape[0], 1, input_shape[-1])
        self.gamma = self.add_weight(name="gamma", shape=shape, initializer="ones")
        self.beta = self.add_weight(name="beta", shape=shape, initializer="zeros")
        self.built = True

    def call(self, x):
        mean = _mean(x)
        variance = ops.maximum(_mean(ops.square(x)) - ops.square(mean), 0.0)
        factor = ops.rsqrt(variance + EPSILON)
        return (x * factor - mean * factor) * self.gamma + self.beta


def _mean(x):
    # Channels first: shorter sums, and faster than both axes at once.
    return ops.mean(ops.mean(x, axis=2, keepdims=True), axis=0, keepdims=True)


def _tile(size):
    """Returns (A, G, B) with y = A ((G g) * (B d)) for y[i] = sum_k g[k] d[i + k].

    The transpose of polynomial multiplication at `size + 1` points and infinity (Toom
    and Cook; Winograd).
    """
    points = np.array(POINTS[: size + 1])

    def powers(degree):
        return np.vstack(
            [np.vander(points, degree, increasing=True), np.eye(degree)[-1]]
        )

    return powers(size).T, powers(3), np.linalg.inv(powers(size + 2)).T


def _valid(size):
    """Returns (A, G, B) for a correlation with `size` outputs, tile by tile."""
    count = -(-size // TILE)
    tiles = [len(part) for part in np.array_split(np.arange(size), count)]
    total = size + 2 * count
    outputs, kernel, inputs = (
        np.zeros(shape) for shape in ((size, total), (total, 3), (total, size + 2))
    )
    start = 0
    for i, tile in enumerate(tiles):
        points = slice(start + 2 * i, start + 2 * i + tile + 2)
        a, g, b = _tile(tile)
        outputs[start : start + tile, points] = a
        kernel[points] = g
        inputs[points, start : start + tile + 2] = b
        start += tile
    return outputs, kernel, inputs


def _replicated(size):
    """Transforms of a convolution whose border cells are repeated outside."""
    outputs, kernel, inputs = _valid(size)
    edges = np.eye(size)[np.clip(np.arange(size + 2) - 1, 0, size - 1)]
    return outputs, kernel, inputs @ edges


def _transposed(size, kept):
    """Transforms of a transposed convolution, cropped to its `kept` central outputs."""
    outputs, kernel, inputs = _valid(size)
    start = (size + 2 - kept) // 2
    return inputs.T[start : start + kept], kernel, outputs.T
