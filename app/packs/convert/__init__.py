"""Conversion of published weights to the ONNX files that a pack names."""
