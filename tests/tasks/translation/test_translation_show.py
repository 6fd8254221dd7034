"""Examples and plots for people."""

from __future__ import annotations

from pathlib import Path

from tasks.translation import score, show

REFERENCE = {"language": "en", "tokenized": False}


def test_everything_from_data_is_escaped(tmp_path: Path) -> None:
    """docs/faults.md 33 asks the same of CSV: what data says is never code."""
    evil = "<script>alert('x')</script> & =1+1"
    show.show([evil], [evil], [{"text": evil, **REFERENCE}], tmp_path)
    page = (tmp_path / "examples.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; =1+1") == 3


def test_best_worst_and_random_without_a_sentence_twice(tmp_path: Path) -> None:
    count = 40
    outputs = [f"word {i} " + "right " * i for i in range(count)]
    references = [{"text": f"word {i} " + "right " * count, **REFERENCE} for i in range(count)]
    show.show([f"source {i}" for i in range(count)], outputs, references, tmp_path)
    page = (tmp_path / "examples.html").read_text(encoding="utf-8")
    assert page.count("<tr><td>") == 15
    assert page.index("source 39<") < page.index("worst") < page.index("source 0<") < page.index("random")
    assert page == _again(tmp_path, outputs, references)


def _again(folder: Path, outputs: list[str], references: list[dict[str, object]]) -> str:
    show.show([f"source {i}" for i in range(len(outputs))], outputs, references, folder)
    return (folder / "examples.html").read_text(encoding="utf-8")


def test_no_sentences_make_an_empty_table(tmp_path: Path) -> None:
    show.show([], [], [], tmp_path)
    assert (tmp_path / "examples.html").read_text(encoding="utf-8").startswith("<table")
    show.plots(score.score([], [], None), tmp_path)
    assert not list(tmp_path.glob("*.png"))


def test_bars_of_bleu_by_length(tmp_path: Path) -> None:
    texts = ["a b c d", "a b c d e f g h", "a " * 40]
    show.plots(score.score(texts, [{"text": text, **REFERENCE} for text in texts], None), tmp_path)
    assert (tmp_path / "bleu_by_length.png").read_bytes().startswith(b"\x89PNG")
