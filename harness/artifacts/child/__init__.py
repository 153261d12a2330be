"""What runs in the building process: the only place that imports TensorFlow."""
