"""Installs ram_tf: `pip install .` as a wheel, `pip install -e .` from a checkout."""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).resolve().parent
VERSION = re.search(
    r'__version__ = "(.+)"', (ROOT / "ram_tf" / "__init__.py").read_text()
).group(1)

# Images that are read where a model looks: TIFF with tiles and levels.
LARGE = ["imagecodecs>=2024.12.30", "tifffile>=2024.9.20"]
SERVING = ["tensorflow-serving-api>=2.19"]
DOCS = [
    # A notebook writes and reads a pyramid.
    *LARGE,
    "ipykernel>=6.29",
    "mkdocs>=1.6,<2",
    "mkdocs-jupyter>=0.25",
    "mkdocs-material>=9.5",
    "mkdocstrings[python]>=1.0",
    "nbclient>=0.10",
]
TEST = [
    *DOCS,
    *SERVING,
    "filelock>=3.13",
    "hypothesis>=6.100",
    "pytest>=8",
    "pytest-xdist>=3.6",
    # A test reads pyramids that another library wrote.
    "pyvips[binary]>=3",
    "ruff>=0.12,<0.19",
    # A test builds the wheel.
    "setuptools>=70.1",
]

setup(
    name="ram_tf",
    version=VERSION,
    description="Recurrent models of hard visual attention for Keras and TensorFlow.",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=[
        *find_packages(include=["ram_tf", "ram_tf.*"]),
        # Files that `--config=NAME` names, beside each other as in the checkout.
        "ram_tf.configs",
        "ram_tf.configs.spaces",
        "ram_tf.configs.variants",
    ],
    package_dir={"ram_tf.configs": "configs"},
    package_data={"ram_tf.pretrained": ["*/*.json", "*/*.md", "*/checkpoints/best/*"]},
    entry_points={"console_scripts": ["ram-tf = ram_tf.commands.__main__:main"]},
    python_requires=">=3.10,<3.14",
    install_requires=[
        "absl-py>=2.1",
        "h5py>=3.11",
        # tensorflow-datasets imports it without declaring it.
        "importlib_resources>=6.0",
        "keras>=3.10",
        "keras-tuner[bayesian]>=1.4.7",
        "matplotlib>=3.8",
        "ml-collections>=1.0",
        "numpy>=1.26",
        "pillow>=10.1",
        "scikit-learn>=1.4",
        "scipy>=1.11",
        # keras-tuner and the TensorBoard callback import it; TensorFlow does not.
        "tensorboard>=2.19",
        "tensorflow>=2.19",
        "tensorflow-datasets>=4.9.7",
        # It imports tf-keras, which its [tf] extra brings.
        "tensorflow-probability[tf]>=0.25",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.19"],
        "large": LARGE,
        "docs": DOCS,
        "serving": SERVING,
        "test": TEST,
        "dev": TEST,
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
