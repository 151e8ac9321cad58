"""One run of Engram, in order:

documents -> word pieces -> candidates -> batches -> model -> predictions -> metrics -> run record.

Inside a batch nothing is padded but the encoder's input: word pieces, spans, pairs and entities of all documents lie
behind one another, and integer tensors point into them. Shape letters, used in every signature:

B documents, T word pieces (of all documents), L word pieces of the longest document, S spans, P mention pairs,
N entities, M mentions in entities, Q entity pairs, K mention pairs of entity pairs, R relation types, E entity types,
H encoder width, D slot width, C slots of a memory.
"""
