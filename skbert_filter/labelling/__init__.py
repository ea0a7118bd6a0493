"""From label files to models and back: training, likely label errors, what to label next."""
