"""Equal texts: keys, and splits that keep them together. Knows nothing of BERT."""
