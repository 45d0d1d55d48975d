import importlib
import inspect
import pkgutil
import re

import pytest

import ram_tf

MODULES = ["ram_tf"] + sorted(
    info.name for info in pkgutil.walk_packages(ram_tf.__path__, "ram_tf.")
)
PACKAGES = ["ram_tf.data", "ram_tf.layers", "ram_tf.models", "ram_tf.objectives"]
PACKAGES += ["ram_tf.ops", "ram_tf.policies", "ram_tf.training", "ram_tf.families"]
PACKAGES += ["ram_tf.evaluation", "ram_tf.experiment", "ram_tf.benchmark"]


def own_public(module):
    """Classes and functions that a module defines itself, name -> object."""
    return {
        name: value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    }


def test_all_modules_are_found():
    assert len(MODULES) > 30
    assert {"ram_tf.ops.glimpses", "ram_tf.training.loop"} <= set(MODULES)


@pytest.mark.parametrize("name", ram_tf.__all__)
def test_a_promised_name_can_be_imported(name):
    assert hasattr(ram_tf, name)
    assert name in dir(ram_tf)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_offers_what_it_lists(package):
    module = importlib.import_module(package)
    assert module.__all__
    assert len(set(module.__all__)) == len(module.__all__)
    for name in module.__all__:
        assert hasattr(module, name), name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'transformer'"):
        ram_tf.transformer  # noqa: B018


def test_the_version_is_a_version():
    assert re.fullmatch(r"\d+\.\d+\.\d+\w*", ram_tf.__version__)


@pytest.mark.parametrize("name", MODULES)
def test_every_public_class_and_function_says_what_it_does(name):
    module = importlib.import_module(name)
    for key, value in own_public(module).items():
        text = value.__doc__ or ""
        # A dataclass without a docstring gets its signature as one.
        assert text.strip(), f"{name}.{key}"
        assert not text.startswith(f"{key}("), f"{name}.{key}"


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_is_unless_it_is_named_after_its_one_thing(name):
    module = importlib.import_module(name)
    if not module.__doc__:
        words = name.rpartition(".")[2].split("_")
        named_after = [
            key
            for key in own_public(module)
            if all(word in key.lower() for word in words)
        ]
        assert named_after, name
