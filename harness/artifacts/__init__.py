"""Models -> trained -> converted artifacts, cached; TensorFlow lives only here, in a child."""
