"""A saved model is replaced only by its like, and only on request."""

import pytest

from skbert_filter import SmallBertPretrainer, SmallBertTextFilter
from skbert_filter.saved_folders import check_saved_folder, save_over


def test_a_model_of_the_other_kind_is_never_replaced(binary, tmp_path):
    sizes = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 50}
    encoder = SmallBertPretrainer(**sizes, max_steps=1).fit(["We build pumps", "View All"])
    for kind, model in {"filter": binary, "encoder": encoder}.items():
        folder = tmp_path / kind
        model.save_pretrained(folder)
        check_saved_folder(folder, kind, overwrite=True)
        with pytest.raises(FileExistsError, match=rf"holds a saved {kind}.*overwrite=True"):
            check_saved_folder(folder, kind, overwrite=False)
        other = {"filter": "encoder", "encoder": "filter"}[kind]
        with pytest.raises(FileExistsError, match=f"files other than a saved {other}"):
            check_saved_folder(folder, other, overwrite=True)


def test_a_model_that_was_saved_meanwhile_is_not_replaced(binary, brief, tmp_path):
    class Slow:
        def save_pretrained(self, folder):
            binary.save_pretrained(tmp_path / "model")
            brief.save_pretrained(folder)

    with pytest.raises(FileExistsError, match=r"holds a saved filter.*overwrite=True"):
        save_over(Slow(), tmp_path / "model", "filter", overwrite=False)
    found = SmallBertTextFilter.from_pretrained(tmp_path / "model")
    assert found.fingerprint_ == binary.fingerprint_
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
