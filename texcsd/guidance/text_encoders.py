"""Prompts to embeddings: CLIP, the two CLIPs of SDXL, T5."""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

T5_TOKENS = 77
"""What DeepFloyd IF was trained on; T5 itself has no limit."""


class PromptEncoder:
    """The text encoders of a pipeline, with their tokenizers.

    They can be larger than the rest of the model and are used once. So `encode` frees them; called
    again, it loads them again.
    """

    def __init__(
        self, tokenizers: list[Any], load_models: Callable[[], list[Any]], zero_empty: bool = False
    ) -> None:
        """Load the text encoders: whatever is wrong with them should show before painting.

        Args:
            tokenizers: One for each text encoder.
            load_models: Loads one text encoder, or the two of SDXL.
            zero_empty: Whether the empty prompt is a tensor of zeros (SDXL was trained so).
        """
        self.tokenizers, self.zero_empty = tokenizers, zero_empty
        self.load_models = load_models
        self.models: list[Any] | None = load_models()
        last = self.models[-1]
        self.pooled_width = last.config.projection_dim if hasattr(last, "text_projection") else 0
        """Of the pooled embedding that comes after the tokens; 0 where there is none."""
        self.limits = [_token_limit(*pair) for pair in zip(tokenizers, self.models, strict=True)]

    def split_at_limit(self, prompt: str) -> tuple[str, str]:
        """As many words of the prompt as there is room for, and the rest."""
        if self._has_room_for(prompt):
            return prompt, ""
        ends = [word.end() for word in re.finditer(r"\w+", prompt)]
        count = bisect.bisect_left(ends, True, key=lambda end: not self._has_room_for(prompt[:end]))
        end = ends[count - 1] if count else 0
        return prompt[:end], re.sub(r"^\W+", "", prompt[end:]) or prompt[end:]

    def _has_room_for(self, prompt: str) -> bool:
        pairs = zip(self.tokenizers, self.limits, strict=True)
        return all(len(read(prompt, verbose=False).input_ids) <= limit for read, limit in pairs)

    @torch.no_grad()
    def encode(self, prompts: list[str], device: torch.device) -> Tensor:
        """Embeddings, float[prompt, tokens, width]; a pooled one comes as more tokens."""
        models, self.models = self.models or self.load_models(), None
        pairs = zip(self.tokenizers, models, self.limits, strict=True)
        outputs = [_run(*parts, prompts, device) for parts in pairs]
        if len(outputs) == 1:
            hidden = outputs[0].last_hidden_state
        else:
            hidden = torch.cat([output.hidden_states[-2] for output in outputs], -1)
        if not self.pooled_width:
            return hidden
        embeddings = append_pooled(hidden, outputs[-1].text_embeds)
        if self.zero_empty and len(outputs) > 1:
            embeddings[[index for index, prompt in enumerate(prompts) if not prompt]] = 0
        return embeddings


def append_pooled(tokens: Tensor, pooled: Tensor) -> Tensor:
    """float[prompt, tokens + k, width]: the pooled embedding as k last tokens, padded with zeros.

    So that all that a prompt means to a model is one tensor, which can be stacked and interpolated.
    """
    width = tokens.shape[-1]
    padded = functional.pad(pooled, (0, -pooled.shape[-1] % width))
    return torch.cat([tokens, padded.view(len(tokens), -1, width)], 1)


def split_pooled(embeddings: Tensor, pooled_width: int) -> tuple[Tensor, Tensor]:
    """What `append_pooled` was given."""
    count = math.ceil(pooled_width / embeddings.shape[-1])
    tokens, pooled = embeddings.split([embeddings.shape[1] - count, count], 1)
    return tokens, pooled.flatten(1)[:, :pooled_width]


def _token_limit(tokenizer: Any, model: Any) -> int:
    positions = getattr(model.config, "max_position_embeddings", T5_TOKENS)
    return min(tokenizer.model_max_length, positions)


def _run(tokenizer: Any, model: Any, limit: int, prompts: list[str], device: torch.device) -> Any:
    arguments = {}
    is_t5 = model.config.model_type == "t5"
    if is_t5:  # Its tokenizer keeps capitals, but DeepFloyd IF was trained on lower case.
        prompts = [prompt.lower().strip() for prompt in prompts]
    tokens = tokenizer(
        prompts, padding="max_length", max_length=limit, truncation=True, return_tensors="pt"
    )
    if is_t5:  # CLIP was trained to attend to its padding.
        arguments["attention_mask"] = tokens.attention_mask.to(device)
    model = model.to(device)
    return model(tokens.input_ids.to(device), output_hidden_states=True, **arguments)
