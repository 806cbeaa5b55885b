#!/usr/bin/env python3
"""A text file as a C array that ends with 0. Usage: embed_text.py INPUT OUTPUT.c SYMBOL"""
import pathlib
import sys

data = pathlib.Path(sys.argv[1]).read_bytes() + b"\0"
lines = (", ".join(str(b if b < 128 else b - 256) for b in data[i:i + 24]) for i in range(0, len(data), 24))
pathlib.Path(sys.argv[2]).write_text(f"/* Made of {pathlib.Path(sys.argv[1]).name}. */\nextern const char {sys.argv[3]}[];\n"
                                     f"const char {sys.argv[3]}[] = {{\n" + ",\n".join(lines) + "\n};\n")
