"""Tests of ONNX Runtime sessions."""
