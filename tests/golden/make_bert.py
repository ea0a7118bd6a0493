"""Write bert.npz with torch and transformers, which the tests do not need.

A BERT of Hugging Face with random weights, some padded ids, and its last hidden states and logits
for them.
"""

from pathlib import Path

import numpy as np
import torch
from transformers import BertConfig, BertForSequenceClassification

config = BertConfig(
    vocab_size=40,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=12,
    num_labels=3,
)
torch.manual_seed(0)
model = BertForSequenceClassification(config).eval()
with torch.no_grad():
    # the initial weights are so small that an error in them would hardly show
    for weight in model.parameters():
        weight.copy_(0.5 * torch.randn_like(weight))
rng = np.random.RandomState(0)
length = np.array([12, 7, 2, 1], np.int32)
ids = rng.randint(1, 40, (4, 12)).astype(np.int32) * (np.arange(12) < length[:, None])
with torch.no_grad():
    output = model(
        input_ids=torch.tensor(ids, dtype=torch.long),
        attention_mask=torch.tensor(np.arange(12) < length[:, None], dtype=torch.long),
        output_hidden_states=True,
    )
weights = {
    name: value.numpy()
    for name, value in model.state_dict().items()
    if not name.endswith("position_ids")
}
np.savez_compressed(
    Path(__file__).with_name("bert.npz"),
    input_ids=ids,
    length=length,
    hidden_states=output.hidden_states[-1].numpy(),
    logits=output.logits.numpy(),
    **weights,
)
