"""How fast translators decode beside CTranslate2 with the same weights: `docs/decoding.md`.

    python -m benchmarks.decoding run NAME FOLDER    models/translation/VARIANT of a checkout whose pipeline has run
    python -m benchmarks.decoding table              docs/decoding.md from what was measured

From text to text on one thread, both in the same rounds, with the same beam, length penalty and subwords, by seconds of
the processor. `pip install ctranslate2==4.8.5` first: it is in no lock. `measured/<name>.json` is what a run found,
with its commit and machine.
"""
