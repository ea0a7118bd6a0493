"""The model: knows nothing of scikit-learn or of the files of the user."""
