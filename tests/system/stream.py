"""What a simulated key with a seed sends: block i is SHA-256("ekeysim:" SEED ":E:" i)."""

import hashlib

BLOCK = 32


def block(seed, number):
    return hashlib.sha256(f"ekeysim:{seed}:E:{number}".encode()).digest()


def expected(seed, offset, length):
    """`length` bytes of the stream from `offset`."""
    first, last = offset // BLOCK, (offset + length + BLOCK - 1) // BLOCK
    blocks = b"".join(block(seed, number) for number in range(first, last))
    return blocks[offset - first * BLOCK :][:length]
