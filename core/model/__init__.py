"""The joint model: encoder, memory, task heads, and the decoder that turns logits into annotations."""
