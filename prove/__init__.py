"""Proofs by trying: every float32; float64 by samples; other libraries by the same measure."""
