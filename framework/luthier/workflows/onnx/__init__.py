"""Export to ONNX: written, run by onnxruntime, compared with the network, and only then named."""
