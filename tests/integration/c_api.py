"""Runs a SavedModel through TensorFlow's C API, as TensorFlow Serving loads one.

  python c_api.py LIBRARY MODEL REQUEST.json

TensorFlow's Python is never imported. The request names the tensors to feed (name,
index, file of an array) and to fetch; fetched arrays are written beside it.
"""

import ctypes
import json
import pathlib
import sys

import numpy as np

NUMBERS = {1: "float32", 3: "int32", 4: "uint8", 9: "int64", 10: "bool"}
STRING = 7
STRING_SIZE = 24  # sizeof(TF_TString)


class Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


def declare(library):
    pointers = (
        "TF_NewStatus TF_NewGraph TF_NewSessionOptions TF_LoadSessionFromSavedModel "
        "TF_GraphOperationByName TF_AllocateTensor TF_TensorData "
        "TF_StringGetDataPointer"
    )
    for name in pointers.split():
        getattr(library, name).restype = ctypes.c_void_p
    library.TF_Message.restype = ctypes.c_char_p
    for name in ("TF_TensorByteSize", "TF_StringGetSize"):
        getattr(library, name).restype = ctypes.c_size_t
    library.TF_Dim.restype = ctypes.c_int64


class Session:
    def __init__(self, library, model):
        self.library = ctypes.CDLL(library, mode=ctypes.RTLD_LOCAL)
        declare(self.library)
        self.status = ctypes.c_void_p(self.library.TF_NewStatus())
        self.graph = ctypes.c_void_p(self.library.TF_NewGraph())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = ctypes.c_void_p(
            self.library.TF_LoadSessionFromSavedModel(
                ctypes.c_void_p(self.library.TF_NewSessionOptions()),
                None,
                model.encode(),
                tags,
                1,
                self.graph,
                None,
                self.status,
            )
        )
        self.check()

    def check(self):
        if self.library.TF_GetCode(self.status):
            sys.exit(self.library.TF_Message(self.status).decode())

    def run(self, feeds, fetches):
        inputs = (Output * len(feeds))(*(self.output(name) for name, _ in feeds))
        values = (ctypes.c_void_p * len(feeds))(*(self.tensor(a) for _, a in feeds))
        outputs = (Output * len(fetches))(*(self.output(name) for name in fetches))
        results = (ctypes.c_void_p * len(fetches))()
        self.library.TF_SessionRun(
            self.session,
            None,
            inputs,
            values,
            len(feeds),
            outputs,
            results,
            len(fetches),
            None,
            0,
            None,
            self.status,
        )
        self.check()
        return [self.array(ctypes.c_void_p(result)) for result in results]

    def output(self, name):
        operation, index = name.split(":")
        found = self.library.TF_GraphOperationByName(self.graph, operation.encode())
        return Output(found, int(index))

    def tensor(self, array):
        library = self.library
        dims = (ctypes.c_int64 * array.ndim)(*array.shape)
        is_text = array.dtype.kind == "S"
        size = STRING_SIZE * array.size if is_text else array.nbytes
        kinds = {name: number for number, name in NUMBERS.items()}
        kind = STRING if is_text else kinds[array.dtype.name]
        tensor = library.TF_AllocateTensor(
            kind, dims, array.ndim, ctypes.c_size_t(size)
        )
        data = library.TF_TensorData(ctypes.c_void_p(tensor))
        if is_text:
            for i, text in enumerate(array.ravel().tolist()):
                place = ctypes.c_void_p(data + i * STRING_SIZE)
                library.TF_StringInit(place)
                library.TF_StringCopy(place, text, ctypes.c_size_t(len(text)))
        else:
            content = np.ascontiguousarray(array)
            ctypes.memmove(data, content.ctypes.data, array.nbytes)
        return tensor

    def array(self, tensor):
        library = self.library
        shape = [library.TF_Dim(tensor, i) for i in range(library.TF_NumDims(tensor))]
        data, kind = library.TF_TensorData(tensor), library.TF_TensorType(tensor)
        if kind == STRING:
            texts = []
            for i in range(int(np.prod(shape))):
                place = ctypes.c_void_p(data + i * STRING_SIZE)
                pointer = library.TF_StringGetDataPointer(place)
                texts.append(ctypes.string_at(pointer, library.TF_StringGetSize(place)))
            return np.array(texts).reshape(shape)
        content = ctypes.string_at(data, library.TF_TensorByteSize(tensor))
        return np.frombuffer(content, NUMBERS[kind]).reshape(shape)


def main(library, model, request):
    request = pathlib.Path(request)
    content = json.loads(request.read_text())
    session = Session(library, model)
    for number, asked in enumerate(content):
        feeds = [(name, np.load(path)) for name, path in asked["feeds"]]
        names = list(asked["fetches"])
        arrays = session.run(feeds, [asked["fetches"][name] for name in names])
        np.savez(request.with_name(f"answer_{number}.npz"), **dict(zip(names, arrays)))
    assert "tensorflow" not in sys.modules


if __name__ == "__main__":
    main(*sys.argv[1:])
