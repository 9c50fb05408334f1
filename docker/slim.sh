# Takes from the virtual environment what a running service never opens.
set -eu
pip uninstall --yes setuptools pip
cd "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
# The packages' own tests; headers, stubs and static libraries, which only a compiler or a type checker reads.
find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' -o -name '*.a' \) -delete
# What prepares models for ONNX Runtime.
(cd onnxruntime && rm -rf backend datasets quantization tools transformers)
# ONNX Runtime's library for C programs: the Python extension beside it holds its own copy and is not linked to this one.
rm -f onnxruntime/capi/libonnxruntime.so.*
# Symbols in extension modules, which only a debugger reads: 12 MB in uvloop alone. The libraries beside them stay as they are.
find . -type f \( -name '*.cpython-*.so' -o -name '*.abi3.so' \) -exec strip --strip-unneeded {} +
