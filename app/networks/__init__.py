"""ONNX Runtime sessions, and a writer of ONNX graphs."""
