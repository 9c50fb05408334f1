# Takes from the virtual environment what a running service never opens.
set -eu
pip uninstall --yes setuptools pip
cd "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"
# The packages' own tests; headers, stubs and static libraries, which only a compiler or a type checker reads.
find . -type d -name tests -prune -exec rm -rf {} +
find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.h' -o -name '*.hpp' -o -name '*.a' \) -delete
# Parts of SciPy that grouping faces does not import, and what prepares models for ONNX Runtime.
(cd scipy && rm -rf datasets differentiate fft fftpack integrate interpolate io ndimage odr optimize signal stats)
(cd onnxruntime && rm -rf backend datasets quantization tools transformers)
# ONNX Runtime's library for C programs: the Python extension beside it holds its own copy and is not linked to this one.
rm -f onnxruntime/capi/libonnxruntime.so.*
