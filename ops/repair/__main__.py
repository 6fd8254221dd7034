"""`python -m ops.repair`: mend what a killed DVC left here."""

from ops.repair import keep, repair

if __name__ == "__main__":
    mended = repair()
    keep()
    print("\n".join(mended) or "nothing to mend")
