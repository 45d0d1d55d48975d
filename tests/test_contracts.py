import inspect
import json
import operator

import keras
import numpy as np
import pytest
import tensorflow as tf

from ram_tf import layers, models
from tests.comparisons import assert_close
from tests.contracts import CONTRACTS, NAMED_MODELS

# Variants of what is tested beside them, and a network of a hundred layers.
LARGE = (
    "Backbone",
    "RAM with a GRU core",
    "RAM with a convolutional glimpse network",
    "RAM with an LSTM core",
)
cases = pytest.mark.parametrize(
    "contract",
    [
        pytest.param(
            contract, id=name, marks=[pytest.mark.slow] if name in LARGE else []
        )
        for name, contract in CONTRACTS.items()
    ],
)


def call(layer, contract, seed=(3, 4), **options):
    options = {**contract.options, **options}
    if "seed" in inspect.signature(layer.call).parameters:
        options["seed"] = tf.constant(seed)
    return layer(*contract.inputs, **options)


def variables_of(layer, name):
    part = operator.attrgetter(name)(layer)
    if isinstance(part, dict):
        return [v for each in part.values() for v in each.trainable_variables]
    return getattr(part, "trainable_variables", [part])


def tensors(outputs):
    return [np.asarray(x, "float32") for x in tf.nest.flatten(outputs)]


def assert_same(first, second, tolerance=1e-5):
    first, second = tensors(first), tensors(second)
    assert len(first) == len(second) > 0
    for a, b in zip(first, second):
        assert_close(a, b, tolerance)


def test_every_public_class_has_a_contract():
    public = {
        name
        for module in (layers, models)
        for name in module.__all__
        if inspect.isclass(getattr(module, name))
        and issubclass(getattr(module, name), keras.layers.Layer)
    }
    assert public - {"AttentionModel"} <= set(CONTRACTS)


@cases
def test_constructor_arguments_are_the_config(contract):
    layer = contract.make()
    signature = inspect.signature(type(layer).__init__).parameters
    names = {n for n, p in signature.items() if p.kind is p.POSITIONAL_OR_KEYWORD}
    assert names - {"self"} <= set(layer.get_config())
    assert set(layer.get_config()) - names <= {"name", "trainable", "dtype"}
    for name in names - {"self", "dtype"}:
        assert hasattr(layer, name)


@cases
def test_json_round_trip_gives_equal_outputs(contract):
    layer = contract.make()
    outputs = call(layer, contract)
    serialized = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(serialized))
    call(again, contract)
    again.set_weights(layer.get_weights())
    assert_same(outputs, call(again, contract))


@cases
def test_parameter_count(contract):
    layer = contract.make()
    call(layer, contract)
    assert layer.count_params() == contract.parameters


@pytest.mark.parametrize("name", NAMED_MODELS)
def test_named_models_have_the_published_size(name):
    make, shape, parameters = NAMED_MODELS[name]
    network = make()
    network.build(shape)
    assert network.count_params() == parameters


@cases
def test_eager_and_xla_agree(contract):
    layer = contract.make()
    # XLA draws other random numbers from a seed than TensorFlow's own kernels do.
    eager = call(layer, contract, **contract.fixed)
    compiled = tf.function(
        lambda: call(layer, contract, **contract.fixed), jit_compile=True
    )
    assert_same(eager, compiled(), 1e-4)


@cases
def test_symbolic_and_declared_shapes_agree_with_the_outputs(contract):
    layer = contract.make()
    shapes = [x.shape for x in tensors(call(layer, contract))]
    symbolic = [
        keras.KerasTensor(x.shape, x.dtype) for x in tf.nest.flatten(contract.inputs)
    ]
    packed = tf.nest.pack_sequence_as(contract.inputs, symbolic)
    result = layer(*packed, **contract.options)
    assert [tuple(x.shape) for x in keras.tree.flatten(result)] == shapes
    if type(layer).compute_output_shape is not keras.layers.Layer.compute_output_shape:
        if isinstance(layer, keras.Model):
            return
        given = [getattr(x, "shape", None) or [s.shape for s in x] for x in packed]
        declared = layer.compute_output_shape(*given)
        declared = declared if isinstance(declared[0], (tuple, list)) else (declared,)
        flat = [s for d in declared for s in (d if isinstance(d, list) else [d])]
        assert [tuple(s) for s in flat] == shapes


@cases
def test_every_trainable_weight_gets_a_finite_gradient(contract):
    layer = contract.make()
    call(layer, contract)
    with tf.GradientTape() as tape:
        outputs = tf.nest.flatten(call(layer, contract, seed=(5, 6)))
        total = sum(tf.reduce_sum(tf.cast(x, tf.float32) ** 2) for x in outputs)
    idle = {id(v) for name in contract.idle for v in variables_of(layer, name)}
    gradients = tape.gradient(total, layer.trainable_variables)
    for variable, gradient in zip(layer.trainable_variables, gradients):
        assert (gradient is None) == (id(variable) in idle), variable.path
        assert gradient is None or np.isfinite(gradient).all(), variable.path


@cases
def test_mixed_precision_keeps_the_promised_dtypes(contract):
    keras.config.set_dtype_policy("mixed_bfloat16")
    layer = contract.make()
    dtypes = [x.dtype.name for x in tf.nest.flatten(call(layer, contract))]
    assert dtypes == list(contract.output_dtypes)
    assert {v.dtype for v in layer.weights} <= {"float32"}
