"""Reading a .tflite file without TensorFlow: its tensors, operators and costs."""
