"""Write masked_lm.npz with torch and transformers, which the tests do not need.

A BertForMaskedLM of Hugging Face with random weights, some padded ids, and its logits for them.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM

config = BertConfig(
    vocab_size=30,
    hidden_size=12,
    intermediate_size=20,
    num_hidden_layers=2,
    num_attention_heads=3,
    max_position_embeddings=9,
)
torch.manual_seed(0)
model = BertForMaskedLM(config).eval()
with torch.no_grad():
    # the initial weights are so small that an error in them would hardly show
    for weight in model.parameters():
        weight.copy_(0.5 * torch.randn_like(weight))
rng = np.random.RandomState(0)
length = np.array([9, 6, 2, 1, 4], np.int32)
ids = rng.randint(1, 30, (5, 9)).astype(np.int32) * (np.arange(9) < length[:, None])
with torch.no_grad():
    output = model(
        input_ids=torch.tensor(ids, dtype=torch.long),
        attention_mask=torch.tensor(np.arange(9) < length[:, None], dtype=torch.long),
    )
weights = {
    name: value.numpy()
    for name, value in model.state_dict().items()
    # the decoder is the word embedding and the bias of the predictions once more
    if not name.endswith("position_ids") and ".decoder." not in name
}
np.savez_compressed(
    Path(__file__).with_name("masked_lm.npz"),
    input_ids=ids,
    length=length,
    logits=output.logits.numpy(),
    **weights,
)
