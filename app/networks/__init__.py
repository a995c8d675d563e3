"""Networks in general: ONNX Runtime, and what it takes to write networks in its format."""
