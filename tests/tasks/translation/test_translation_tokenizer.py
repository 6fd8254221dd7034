"""Round trips, determinism and sampling of the subword tokenizer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import DataError
from modalities.text.inputs import tokenizer
from modalities.text.inputs.tokenizer import BOS, EOS, PAD, UNK, Tokenizer

ROOT = Path(__file__).resolve().parents[3]
TOKENIZED = [
    "彼 は つら い 人生 を 送 っ た 。",
    "全角 ＡＢＣ と ｶﾅ と ① も その まま 。",
    "he lived a hard life .",
] * 5
PLAIN = ["妹はチェコに行ったことがありません。", "2月12日、式典は7:45に始まります。", "It costs ¥1,234.50!"] * 5


@pytest.mark.parametrize("texts", [TOKENIZED, PLAIN])
def test_decoding_gives_back_the_text_exactly(texts: list[str]) -> None:
    coder = Tokenizer(tokenizer.train(texts, 90))
    assert coder.decode(coder.encode(texts)) == texts
    assert not any(i in (PAD, UNK, BOS, EOS) for ids in coder.encode(texts) for i in ids)


def test_sampled_subwords_decode_to_the_same_text() -> None:
    coder = Tokenizer(tokenizer.train(TOKENIZED, 90))
    sampled = coder.sample(TOKENIZED, 0.5, seed=3)
    assert coder.decode(sampled) == TOKENIZED
    assert sampled != coder.encode(TOKENIZED)


def test_sampling_depends_on_the_seed_alone() -> None:
    coder = Tokenizer(tokenizer.train(TOKENIZED, 90))
    first, other, again = (coder.sample(TOKENIZED, 0.5, seed=seed) for seed in (3, 4, 3))
    assert first == again
    assert first != other


def test_training_is_deterministic() -> None:
    assert tokenizer.train(PLAIN, 90) == tokenizer.train(PLAIN, 90)


def test_a_vocabulary_below_the_characters_is_refused() -> None:
    with pytest.raises(DataError, match=r"vocabulary is 20, .* different characters"):
        tokenizer.train(PLAIN, 20)


def test_sampling_is_the_same_in_another_process(tmp_path: Path) -> None:
    """SentencePiece 0.2.3 mixes something of the process into the seed, so that no two trainings were the same."""
    model = tokenizer.train(TOKENIZED, 90)
    (tmp_path / "model").write_bytes(model)
    program = (
        "import sys; from pathlib import Path; from modalities.text.inputs.tokenizer import Tokenizer\n"
        "print(Tokenizer(Path(sys.argv[1]).read_bytes()).sample(['he lived a hard life .'] * 40, 0.5, seed=3))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "model")]
    outputs = {subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout for _ in range(2)}
    assert outputs == {f"{Tokenizer(model).sample(['he lived a hard life .'] * 40, 0.5, seed=3)}\n"}
