"""Plots of labels, texts and fitted classifiers, in the form of scikit-learn's displays.

matplotlib (the extra `plots`) is imported by the first of them.
"""
