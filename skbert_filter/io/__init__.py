"""Files of the user: texts, read and written in bounded memory, and outputs that appear whole."""
