"""Decoding in processes of their own: a picture that ends its decoder, or fills the memory, costs one verdict and no line."""

from kizu_pipeline.decoders.pool import Decode, DecoderPool, memory_mb_for

__all__ = ["Decode", "DecoderPool", "memory_mb_for"]
