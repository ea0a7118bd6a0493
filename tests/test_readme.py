"""What README.md shows is what the package does."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_the_lines_before_and_after_are_what_the_code_prints(capsys):
    exec(compile(blocks("python")[0], str(README), "exec"), {})
    before, after = blocks("text")
    assert capsys.readouterr().out == before + after


def test_its_links_lead_to_files():
    links = re.findall(r"\]\(([^)#]+)", README.read_text(encoding="utf-8"))
    assert [link for link in links if not (README.parent / link).is_file()] == []
