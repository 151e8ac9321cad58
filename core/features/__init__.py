"""Features: word pieces, candidate spans and pairs, and the tensors of a batch."""
