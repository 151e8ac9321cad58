"""A word-piece vocabulary of the training text, for the encoder from scratch."""

from collections import Counter
from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from core.documents import Document
from core.wordpieces import WordPieces

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def learn_wordpieces(documents: Sequence[Document], *, size: int) -> WordPieces:
    """A lower-cased word-piece tokenizer of at most `size` pieces; the same documents give the same pieces."""
    words = Counter(token for document in documents for token in document.tokens)
    learner = _untrained({"[UNK]": 0})
    # The trainer numbers the letters inside words in the order of a hash table that changes from call to call, and
    # breaks ties between merges by number. As special tokens they are numbered here, in order.
    inside = sorted({letter for word in words for part in _parts(learner, word) for letter in part[1:]})
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, special_tokens=[*SPECIAL, *(f"##{letter}" for letter in inside)], show_progress=False
    )
    texts = [word for word, count in sorted(words.items()) for _ in range(count)]
    learner.train_from_iterator(texts, trainer)
    return WordPieces(
        PreTrainedTokenizerFast(
            # Built anew, as the learner would take a literal "##a" in a text for a special token.
            tokenizer_object=_untrained(learner.get_vocab()),
            pad_token="[PAD]",
            unk_token="[UNK]",
            cls_token="[CLS]",
            sep_token="[SEP]",
            mask_token="[MASK]",
        )
    )


def _untrained(vocabulary: dict[str, int]) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def _parts(tokenizer: Tokenizer, word: str) -> list[str]:
    """The words that the tokenizer sees in a token."""
    normal = tokenizer.normalizer.normalize_str(word)
    return [part for part, _ in tokenizer.pre_tokenizer.pre_tokenize_str(normal)]
