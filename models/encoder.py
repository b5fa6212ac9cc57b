"""A small network that says how surprising a field's value is, given others of the same event."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.context import WIDTH

_FAR = 4.0

Question = tuple[int, tuple[int, ...]]


class Encoder(nn.Module):
    """Predicts the code of one field from the sum of other fields' embeddings, for each of Q questions.

    Field k has codes 0..sizes[k]-1. Question q = (target, given) has logits over the target's codes
    `out (h + tanh(W h)) + bias` with h = place_q + the sum of the given fields' embeddings; its answer is the
    surprisal -log softmax at the event's own code, in nats: a masked model of one event's fields
    (cf. LogBERT; Guo et al., IJCNN 2021), asked only what an analyst would ask.

    The sum of all embeddings is an event's hidden vector; its `WIDTH` numbers along `basis`, from `centre` on, are what
    peers read of it, in the language of that number, 0 for none (see `models/language.py`).
    """

    offset_K: Tensor
    given_QK: Tensor
    centre: Tensor
    basis: Tensor
    language: Tensor

    def __init__(self, sizes: Sequence[int], questions: Sequence[Question], width: int = 32) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.questions = tuple(questions)
        offset_K = torch.tensor([sum(self.sizes[:k]) for k in range(len(self.sizes))])
        given_QK = torch.zeros(len(self.questions), len(self.sizes))
        for q, (_, given) in enumerate(self.questions):
            given_QK[q, list(given)] = 1.0
        self.register_buffer("offset_K", offset_K, persistent=False)
        self.register_buffer("given_QK", given_QK, persistent=False)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("basis", torch.zeros(width, WIDTH))
        self.register_buffer("language", torch.zeros((), dtype=torch.int64))
        self.embed = nn.Embedding(sum(self.sizes), width)
        self.place = nn.Parameter(torch.zeros(len(self.questions), width))
        self.mix = nn.Linear(width, width)
        self.out = nn.Embedding(sum(self.sizes), width)
        self.bias = nn.Parameter(torch.zeros(sum(self.sizes)))
        nn.init.normal_(self.embed.weight, std=0.3)
        nn.init.normal_(self.out.weight, std=0.1)

    def forward(self, code_BK: Tensor) -> Tensor:
        """(B, K) int64 codes to (B, Q) float32 surprisals in nats."""
        vector_BKW = self.embed(code_BK + self.offset_K)
        hidden_BQW = torch.einsum("qk,bkw->bqw", self.given_QK, vector_BKW) + self.place
        hidden_BQW = hidden_BQW + torch.tanh(self.mix(hidden_BQW))
        answers = [self._answer(q, hidden_BQW[:, q], code_BK) for q in range(len(self.questions))]
        return torch.stack(answers, dim=1)

    def hidden(self, code_BK: Tensor) -> Tensor:
        """(B, K) int64 codes to (B, W) float32."""
        hidden_BW: Tensor = self.embed(code_BK + self.offset_K).sum(dim=1)
        return hidden_BW

    def vectors(self, hidden_BW: Tensor) -> Tensor:
        """(B, W) hidden vectors to the (B, WIDTH) that peers read."""
        return ((hidden_BW - self.centre) @ self.basis).clamp(-_FAR, _FAR)

    def codes_of(self, k: int) -> slice:
        """Where field k's codes lie in the tables that hold every field's."""
        start = int(self.offset_K[k])
        return slice(start, start + self.sizes[k])

    def _answer(self, q: int, hidden_BW: Tensor, code_BK: Tensor) -> Tensor:
        target = self.questions[q][0]
        place = self.codes_of(target)
        logits_BV = hidden_BW @ self.out.weight[place].T + self.bias[place]
        return nn.functional.cross_entropy(logits_BV, code_BK[:, target], reduction="none")
