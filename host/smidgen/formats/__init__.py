"""Readers and writers of model files: .tflite and .onnx to and from the typed graph."""
