"""keras.src.backend.tenon.nn: Keras' own; attention is one op's work however it is asked for."""
from keras.src.backend.tenon.in_tree import nn as _nn

# Convolutions are taken channels last on all devices.
_nn._cpu_only = lambda: True
globals().update({name: value for name, value in vars(_nn).items() if not name.startswith("__")})


def dot_product_attention(query, key, value, bias=None, mask=None, scale=None, is_causal=False, flash_attention=None,
                          attn_logits_soft_cap=None):
    """`flash_attention` says how, not what: the passes choose how."""
    return _nn.dot_product_attention(query, key, value, bias=bias, mask=mask, scale=scale, is_causal=is_causal,
                                     flash_attention=False, attn_logits_soft_cap=attn_logits_soft_cap)
