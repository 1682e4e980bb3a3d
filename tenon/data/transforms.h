// Steps of an input pipeline beside those of dataset.h. Semantics are tf.data's, names too.
//
// Functions that are passed in are called from several threads where a step has several, and
// whenever elements are made anew: equal elements must give equal results. They do not throw.
#pragma once

#include "tenon/data/dataset.h"

namespace tenon {
class Device;
}

namespace tenon::data {

using MapFunction = std::function<StatusOr<Element>(Element element)>;
using Predicate = std::function<StatusOr<bool>(const Element& element)>;
using FlatMapFunction = std::function<StatusOr<DatasetPtr>(const Element& element)>;
using LengthFunction = std::function<StatusOr<int64_t>(const Element& element)>;

// Each element through `function`, on `threads` threads (1: the caller's), in the order of the
// elements. As many elements as threads are in work or wait to be taken.
DatasetPtr map(DatasetPtr elements, MapFunction function, int threads = 1);

DatasetPtr filter(DatasetPtr elements, Predicate predicate);

// The elements before the first that `predicate` refuses.
DatasetPtr take_while(DatasetPtr elements, Predicate predicate);

// The elements of what `function` gives for each element, one dataset after the other.
DatasetPtr flat_map(DatasetPtr elements, FlatMapFunction function);

// As flat_map(), from `cycle_length` datasets in turn, `block_length` elements each (both at
// least 1). With `threads` above 1 these open and read the datasets ahead, each dataset by one
// thread at a time; the order stays the same, unless not `deterministic`: then whatever dataset has
// an element ready gives it.
DatasetPtr interleave(DatasetPtr elements, FlatMapFunction function, int64_t cycle_length,
                      int64_t block_length = 1, int threads = 1, bool deterministic = true);

// The first `count` elements, and all but them; below 0 means all.
DatasetPtr take(DatasetPtr elements, int64_t count);
DatasetPtr skip(DatasetPtr elements, int64_t count);

// `count` passes over the elements, each an epoch of its own to what is shuffled before; below 0:
// without end, unless there are no elements.
DatasetPtr repeat(DatasetPtr elements, int64_t count = -1);

// Elements index, index + shards, index + 2 shards, ... INVALID_ARGUMENT unless
// 0 <= index < shards.
StatusOr<DatasetPtr> shard(DatasetPtr elements, int64_t shards, int64_t index);

// The components of the datasets' elements side by side, as long as all have one.
StatusOr<DatasetPtr> zip(std::vector<DatasetPtr> datasets);

// What `step` gives of the components of the state and then of each element: first the next state,
// which is not an element's, then the element.
DatasetPtr scan(DatasetPtr elements, Element initial_state, MapFunction step);

struct GroupFunctions {
  LengthFunction key;      // of an element
  LengthFunction size;     // of {key}: how many elements a group of that key has
  FlatMapFunction reduce;  // of {key, a dataset of the group's elements (dataset_value.h)}
};

// The elements of what `reduce` makes of each group that is full, and at the end of the others in
// the order of their keys. Iterating fails with INVALID_ARGUMENT on sizes below 1.
DatasetPtr group_by_window(DatasetPtr elements, GroupFunctions functions);

// For each of `choices`, int64 scalars, the next element of the dataset of that number. Where that
// one has ended, `stop_on_empty` ends all; else the choice is passed over, as long as one is left.
// INVALID_ARGUMENT without datasets; while iterating for another choice.
StatusOr<DatasetPtr> choose(std::vector<DatasetPtr> datasets, DatasetPtr choices,
                            bool stop_on_empty = true);

// int64 scalars without end, below the number of weights (0 or more, one above), drawn by these.
// Unless `redraw`, each pass has the draws of the first.
DatasetPtr draws(std::vector<double> weights, uint64_t seed, bool redraw = true);

DatasetPtr concatenate(DatasetPtr first, DatasetPtr second);

// Windows of `size` elements that are `stride` apart, the first `shift` after the one before (0:
// `size`), stacked as batch() stacks them: tf.data's window(...) with each window batched. The
// last ones may be smaller unless they are dropped.
DatasetPtr window(DatasetPtr elements, int64_t size, int64_t shift = 0, int64_t stride = 1,
                  bool drop_remainder = false);

// As window() without the stacking: each component of a window is a dataset of its own (see
// dataset_value.h).
DatasetPtr windows(DatasetPtr elements, int64_t size, int64_t shift = 0, int64_t stride = 1,
                   bool drop_remainder = false);

// The rows of each element's components: what batch() put together. Iterating fails with
// INVALID_ARGUMENT on scalars and on components of different dimension 0.
DatasetPtr unbatch(DatasetPtr batches);

struct Padding {
  // Of each component, without the batch; empty or of unknown rank or dimension: as large as the
  // largest of the batch.
  std::vector<PartialShape> shapes = {};
  // Of each component: a scalar of its type; empty or no value: 0, false or "".
  std::vector<Tensor> values = {};
  bool drop_remainder = false;
};

// As batch(), of rows that differ in size.
DatasetPtr padded_batch(DatasetPtr rows, int64_t size, Padding padding = {});

struct Buckets {
  // Ascending. Bucket i takes lengths from boundary i-1 to below boundary i.
  std::vector<int64_t> boundaries;
  std::vector<int64_t> batch_sizes;  // of each bucket, one more than boundaries
  bool pad_to_boundary = false;      // up to the bucket's greatest length, not its longest row's
  Padding padding = {};
};

// tf.data's bucket_by_sequence_length: padded batches of rows of like length. What the buckets hold
// at the end comes in the order of the buckets. INVALID_ARGUMENT for boundaries that do not ascend
// and sizes that do not go with them; while iterating, with pad_to_boundary, for a row that is as
// long as the last boundary or longer.
StatusOr<DatasetPtr> bucket_by_length(DatasetPtr rows, LengthFunction length, Buckets buckets);

// The first `columns` tensors of each element in the memory of `device`, by a stream of their own:
// with prefetch() behind it, elements are copied while the device works on those before. They may
// be under way: Buffer::completion(). What is no number, or finds no room there, stays on the host.
DatasetPtr on_device(DatasetPtr elements, Device* device, size_t columns = SIZE_MAX);

}  // namespace tenon::data
