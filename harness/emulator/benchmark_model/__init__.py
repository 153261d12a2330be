"""An executable that behaves like Google's benchmark_model and really runs the model.

It runs on an emulated phone, as one file that `harness.emulator.phone.pack_tool` makes of this
folder: nothing of the harness is imported, and its modules import each other by relative names. It
takes the flags of the two dialects, A (classic Interpreter) and B (LiteRT CompiledModel), prints
their output and writes their result file. Whatever it measures is this machine's time.
"""
