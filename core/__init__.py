"""One run of Engram. The packages stand in the order in which data flows through them:

config             every setting with its default, limit and explanation; presets, command-line overrides, signature
data               documents from files: formats, data sets, splits, the generated corpus
scoring            precision, recall and F1 of the five tasks, coreference measures, diagnostics
records            what is kept of a run: record, history, provenance, W&B
features           documents -> word pieces -> candidate spans and pairs -> batches
model              batches -> logits -> predictions: encoder, memory, heads, decoder
training           loss, optimizer, loop, checkpoints, scores on held-out documents
run                a run folder -> its record, in this process or in a worker
checkpoint_import  checkpoints of JEREX and of the memory authors -> run folders
prediction         documents -> prediction files and pages
commands           the verbs of `engram` about single runs and data
errors, parsing, input_files, files, standard_streams, progress, seeding   what all of them use

Inside a batch nothing is padded but the encoder's input: word pieces, spans, pairs and entities of all documents lie
behind one another, and integer tensors point into them. Shape letters, used in every signature:

B documents, T word pieces (of all documents), L word pieces of the longest document, S spans, P mention pairs,
N entities, M mentions in entities, Q entity pairs, K mention pairs of entity pairs, R relation types, E entity types,
H encoder width, D slot width, C slots of a memory.
"""
