"""OpenAI's family of CLIP: its models' names and weights, its network and tokenizer, read, checked and computed.

What belongs here holds for this family alone. What every family shares is a floor higher, in `core.model`.
"""
