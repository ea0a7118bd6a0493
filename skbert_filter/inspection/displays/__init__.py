"""Plots of labels, texts and fitted classifiers, in the style of scikit-learn's displays.

matplotlib (the extra `plots`) is imported when the first of them is drawn.
"""
