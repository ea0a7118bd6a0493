"""Equal texts: keys, reports, splits that keep them together, and stores. Knows nothing of BERT."""
