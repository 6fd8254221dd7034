"""Sums of two numbers bit by bit by a recurrent network, as the lecture notes learn them: how many sums each variant of
the notes needs, over ten seeds.

    python -m benchmarks.addition run       measures all variants again, a minute of one core
    python -m benchmarks.addition table     writes docs/addition.md
"""
