"""Connectionist temporal classification: the loss and the decoders."""
from tenon import _tenon, raw_ops
from tenon.tensor_shape import TensorShape
from tenon.tf import arrays, control_flow, elementwise, reductions
from tenon.tf.sparse_tensor import SparseTensor


def ctc_loss(labels, logits, label_length, logit_length, logits_time_major=True, unique=None, blank_index=None,
             name=None):
    """Of dense labels [batch, length]; the blank is `blank_index`, counted from the end where negative.

    Forward variables over the labels with a blank before, between and behind them (Graves et al. 2006, equations 6 to 8).
    A label may be the blank's own number: it is a label where it stands, as TensorFlow has it.
    """
    logits = _tenon.convert(logits)
    if not logits_time_major:
        logits = arrays.transpose(logits, [1, 0, 2])
    labels = elementwise.cast(labels, "int32")
    label_length, logit_length = (elementwise.cast(x, "int32") for x in (label_length, logit_length))
    blank = 0 if blank_index is None else blank_index
    blank = blank + logits.shape[2] if blank < 0 else blank
    count = arrays.shape(labels)[1]
    states = 2 * count + 1
    blanks = raw_ops.Fill(dims=arrays.shape(labels), value=blank)
    pairs = arrays.reshape(raw_ops.Pack(values=[blanks, labels], axis=2), raw_ops.Pack(values=[-1, 2 * count]))
    path = raw_ops.ConcatV2(values=[pairs, raw_ops.Fill(dims=raw_ops.Pack(values=[arrays.shape(labels)[0], 1]),
                                                        value=blank)], axis=1)
    # A label may follow the one before without a blank where they differ.
    number = raw_ops.Range(start=0, limit=states, delta=1)
    two_before = arrays.pad(path, [[0, 0], [2, 0]], constant_values=-1)[:, :-2]
    skips = raw_ops.LogicalAnd(x=raw_ops.NotEqual(x=path, y=two_before),
                               y=raw_ops.Equal(x=raw_ops.FloorMod(x=number, y=2), y=1))
    never = _tenon.convert(-1e30, logits.dtype)
    log_probabilities = arrays.gather(raw_ops.Reshape(tensor=raw_ops.LogSoftmax(logits=arrays.reshape(
        logits, raw_ops.Pack(values=[-1, logits.shape[2]]))), shape=arrays.shape(logits)), raw_ops.BroadcastTo(
            input=path, shape=raw_ops.Pack(values=[arrays.shape(logits)[0], arrays.shape(path)[0], states])), batch_dims=2,
        axis=2)

    def later(alpha, places):
        return arrays.pad(alpha, [[0, 0], [places, 0]], constant_values=never)[:, :-places]

    def step(t, alpha):
        ways = raw_ops.Pack(values=[alpha, later(alpha, 1), arrays.where(skips, later(alpha, 2), never)])
        moved = reductions.reduce_logsumexp(ways, 0) + arrays.gather(log_probabilities, t)
        return t + 1, arrays.where(arrays.expand_dims(t < logit_length, 1), moved, alpha)

    start = arrays.where(raw_ops.BroadcastTo(input=raw_ops.Equal(x=number, y=0), shape=arrays.shape(path)),
                         _tenon.convert(0, logits.dtype), never)
    steps = arrays.shape(logits)[0]
    _, alpha = control_flow.while_loop(lambda t, _: t < steps, step, (_tenon.convert(0), start), shape_invariants=(
        TensorShape([]), TensorShape([None, None])))
    last = arrays.expand_dims(2 * label_length, 1)
    ends = raw_ops.ConcatV2(values=[last, raw_ops.Maximum(x=last - 1, y=0)], axis=1)
    found = arrays.gather(alpha, ends, batch_dims=1, axis=1)
    # Without labels both ends are the one state.
    both = arrays.where(raw_ops.Equal(x=raw_ops.ConcatV2(values=[last * 0 + 1, last], axis=1), y=0), never, found)
    return -reductions.reduce_logsumexp(both, 1)


def ctc_greedy_decoder(inputs, sequence_length, merge_repeated=True, blank_index=None):
    out = raw_ops.CTCGreedyDecoder(inputs=_tenon.convert(inputs), sequence_length=sequence_length,
                                   merge_repeated=merge_repeated, blank_index=-1 if blank_index is None else blank_index)
    return [SparseTensor(out.decoded_indices, out.decoded_values, out.decoded_shape)], out.log_probability


def ctc_beam_search_decoder(inputs, sequence_length, beam_width=100, top_paths=1):
    out = raw_ops.CTCBeamSearchDecoder(inputs=_tenon.convert(inputs), sequence_length=sequence_length,
                                       beam_width=beam_width, top_paths=top_paths, merge_repeated=False)
    return [SparseTensor(i, v, s) for i, v, s in zip(out.decoded_indices, out.decoded_values, out.decoded_shape)], (
        out.log_probability)
