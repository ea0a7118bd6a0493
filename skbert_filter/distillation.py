"""A filter that learns from what a stronger teacher thinks of unlabelled texts.

Stands on the filter and on scikit-learn; any classifier of texts may be the teacher.
"""

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.callback import CallbackSupportMixin, with_callbacks
from sklearn.ensemble import VotingClassifier
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from skbert_filter._doc_links import DocLinkMixin
from skbert_filter.auto_settings import learning_rate
from skbert_filter.inspection.baselines import tfidf_baseline
from skbert_filter.text_filter import SmallBertTextFilter
from skbert_filter.validation import check_labels, check_texts, class_weight_by_number

# Texts from which on two passes do for the student; chosen with its other settings on web snippets.
_MANY = 50_000
# What is less likely is not worth a row for the student.
_LEAST = 1e-3


class DistilledTextFilter(
    DocLinkMixin, CallbackSupportMixin, ClassifierMixin, MetaEstimatorMixin, BaseEstimator
):
    """A small BERT that learns from a stronger teacher's answers on unlabelled texts.

    A few thousand labels are too few for a BERT; a crawl has millions of texts without any.
    `fit` trains a teacher on the labels, by default the mean of TF-IDF with logistic regression
    and of the filter itself, asks it for the probabilities of unlabelled texts, and trains the
    filter anew on these and the labels. The result is one `SmallBertTextFilter` that knows
    nearly what both together know.

    Parameters
    ----------
    estimator : SmallBertTextFilter, default=None
        The filter to train a clone of, best with the `checkpoint` of a `SmallBertPretrainer`.
        None: the default filter, with a seed drawn from `random_state`.
    teacher : classifier of texts with `predict_proba`, default=None
        What learns the labels first. None: a soft VotingClassifier of `tfidf_baseline` and
        `estimator`. A fitted one is passed as ``FrozenEstimator(teacher)``.
    unlabelled : container of str
        The texts to ask the teacher about, such as a sample of the corpus that will be
        filtered. Repeats count once; texts that are labelled keep their labels.
    max_texts : int, default=100_000
        Most distinct texts to use; of more a random sample is drawn.
    random_state : int, RandomState instance or None, default=None
        Seed of the sample, and of the default `estimator`.

    Attributes
    ----------
    estimator_ : SmallBertTextFilter
        The trained filter, which stands alone: save this one.
    teacher_ : classifier
        The trained teacher.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    n_unlabelled_ : int
        Unlabelled texts that were learnt from.

    See Also
    --------
    SmallBertPretrainer : Learns from unlabelled texts before any label is seen.

    Notes
    -----
    Hinton et al., "Distilling the knowledge in a neural network", 2015, at temperature 1. Turc et
    al., "Well-read students learn better", 2019, show for small BERTs that pretraining and
    distillation add up. The student is trained with the cross-entropy (`focal_gamma` and
    `label_smoothing` of 0), for which an answer of the teacher is best met by itself, on
    ``conflicts="soft"`` rows, and without early stopping. The embeddings of a checkpoint learn as
    fast as the rest. From 50,000 unlabelled texts on, `epochs="auto"` are 2, in batches of twice
    the size.

    Examples
    --------
    >>> from skbert_filter import DistilledTextFilter, SmallBertTextFilter
    >>> from skbert_filter.datasets import make_website_corpus, make_website_snippets
    >>> X, y = make_website_snippets(300, random_state=0)
    >>> model = DistilledTextFilter(
    ...     SmallBertTextFilter(hidden_size=16, num_hidden_layers=1, random_state=0),
    ...     unlabelled=make_website_corpus(2000, random_state=1), random_state=0)
    >>> model.fit(X, y).predict(["View All"])
    array([0])
    >>> type(model.estimator_).__name__, type(model.teacher_).__name__
    ('SmallBertTextFilter', 'VotingClassifier')
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [SmallBertTextFilter, None],
        "teacher": [HasMethods(["fit", "predict_proba"]), None],
        "unlabelled": "no_validation",  # check_texts says more
        "max_texts": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator=None,
        *,
        teacher=None,
        unlabelled=None,
        max_texts=100_000,
        random_state=None,
    ):
        self.estimator = estimator
        self.teacher = teacher
        self.unlabelled = unlabelled
        self.max_texts = max_texts
        self.random_state = random_state

    @property
    def fingerprint_(self) -> str:
        check_is_fitted(self)
        return self.estimator_.fingerprint_

    @with_callbacks
    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any) -> "DistilledTextFilter":
        """Train the teacher on labelled texts, and the filter on its answers.

        Parameters
        ----------
        X : container of str of shape (n_samples,)
            The labelled texts.
        y : array-like of shape (n_samples,)
            Their labels, two or more different ones.

        Returns
        -------
        self : DistilledTextFilter

        Raises
        ------
        TypeError, ValueError
            If the texts, the labels or `unlabelled` are not as described, or the teacher does not
            know the labels.
        """
        if self.unlabelled is None:
            raise ValueError(
                "DistilledTextFilter has no unlabelled texts. Pass some of your corpus as "
                "unlabelled=..., or fit a SmallBertTextFilter."
            )
        texts = check_texts(X)
        pool = check_texts(self.unlabelled, name="unlabelled")
        classes, numbers = np.unique(check_labels(y, len(texts)), return_inverse=True)
        rng = check_random_state(self.random_state)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        student = SmallBertTextFilter(random_state=seed)
        if self.estimator is not None:
            student = clone(self.estimator)
        rows = student._training_rows(texts, numbers, np.ones(len(texts)), classes)
        labels = classes[rows.classes]
        pool = sorted(set(pool).difference(rows.texts))
        if len(pool) > self.max_texts:
            pool = [pool[i] for i in np.sort(rng.permutation(len(pool))[: self.max_texts])]

        context = self._init_callback_context(max_subtasks=2)
        context.call_on_fit_task_begin(estimator=self, X=X, y=y)
        task = context.subcontext(task_name="fit-teacher")
        task.call_on_fit_task_begin(estimator=self, X=X, y=y)
        teacher = (
            _default_teacher(student, classes) if self.teacher is None else clone(self.teacher)
        )
        teacher.fit(rows.texts, labels)
        if teacher.classes_.tolist() != classes.tolist():
            raise ValueError(
                f"The teacher knows the classes {teacher.classes_.tolist()}, the labels have "
                f"{classes.tolist()}. Fit the teacher on the same labels, or pass an unfitted one."
            )
        # which text may be of which class, and how likely
        answers = teacher.predict_proba(pool) if pool else np.empty((0, len(classes)))
        of_text, of_class = np.nonzero(answers > _LEAST)
        task.call_on_fit_task_end(estimator=self, X=X, y=y)

        if student.epochs == "auto" and len(pool) >= _MANY:
            student.set_params(epochs=2, batch_size=2 * student.batch_size)
        # The teacher's answers hold what class weights do.
        student.set_params(
            conflicts="soft",
            duplicates="weight",
            class_weight=None,
            focal_gamma=0.0,
            label_smoothing=0.0,
            early_stopping=False,
        )
        # There are enough texts now to learn words from.
        if student.embedding_learning_rate == "auto":
            rate = learning_rate(student.learning_rate, n_classes=len(classes), origin="random")
            student.set_params(learning_rate=rate, embedding_learning_rate=rate)
        task = context.subcontext(task_name="fit-student")
        with task.propagate_callback_context(student):
            task.call_on_fit_task_begin(estimator=self, X=X, y=y)
            student.fit(
                [*rows.texts, *(pool[i] for i in of_text)],
                np.concatenate([labels, classes[of_class]]),
                np.concatenate([np.ones(len(labels)), answers[of_text, of_class]]),
            )
        task.call_on_fit_task_end(estimator=self, X=X, y=y)
        self.estimator_ = student
        self.teacher_ = teacher
        self.classes_ = student.classes_
        self.n_unlabelled_ = len(pool)
        context.call_on_fit_task_end(
            estimator=self, X=X, y=y, reconstruction_attributes={"estimator_": student}
        )
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Predict the label of each text, as the trained filter.

        Parameters
        ----------
        X : container of str of shape (n_samples,)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self.estimator_.predict(X)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probability of each class, as the trained filter.

        Parameters
        ----------
        X : container of str of shape (n_samples,)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), float64
        """
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the logits of texts, as the trained filter.

        Parameters
        ----------
        X : container of str of shape (n_samples,)

        Returns
        -------
        logits : ndarray of shape (n_samples,) or (n_samples, n_classes), float32
        """
        check_is_fitted(self)
        return self.estimator_.decision_function(X)

    def save_pretrained(self, folder: Any) -> None:
        """Save the trained filter, without the teacher; see `SmallBertTextFilter`.

        Parameters
        ----------
        folder : str or path-like
            Folder to create; it may exist if it is empty.
        """
        check_is_fitted(self)
        self.estimator_.save_pretrained(folder)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags


def _default_teacher(filter_: SmallBertTextFilter, classes: np.ndarray) -> VotingClassifier:
    # VotingClassifier numbers the labels.
    weights = class_weight_by_number(filter_.class_weight, classes)
    tfidf = tfidf_baseline().set_params(classifier__class_weight=weights)
    filter_ = clone(filter_).set_params(class_weight=weights)
    return VotingClassifier([("tfidf", tfidf), ("filter", filter_)], voting="soft")
