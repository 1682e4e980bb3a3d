// CTCGreedyDecoder, CTCBeamSearchDecoder (A. Graves, "Supervised sequence labelling with recurrent
// neural networks", 2012, section 7.5): label sequences from scores [time, batch, classes].
#include <deque>
#include <map>

#include "tenon/base/parallel.h"
#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

Status ctc_decoder_shape(ShapeContext& c, int paths) {
  TENON_RETURN_IF_ERROR(c.expect_rank(0, 3));
  TENON_RETURN_IF_ERROR(c.expect_rank(1, 1));
  const PartialShape& x = c.input(0);
  for (int i = 0; i < paths; ++i) {
    c.set_output(i, {-1, 2});
    c.set_output(paths + i, {-1});
    c.set_output(2 * paths + i, {2});
  }
  c.set_output(3 * paths, {x.has_rank() ? x[1] : -1, paths});
  return absl::OkStatus();
}
Status greedy_shape(ShapeContext& c) { return ctc_decoder_shape(c, 1); }
Status beam_shape(ShapeContext& c) {
  return ctc_decoder_shape(c, static_cast<int>(c.attr<int64_t>("top_paths")));
}

// Sizes of one run, checked.
struct CtcInput {
  int64_t time, batch, classes;
  std::span<const int32_t> lengths;

  static StatusOr<CtcInput> make(const KernelRun& r) {
    const Tensor& x = r.input(0);
    const CtcInput input{x.dim(0), x.dim(1), x.dim(2), r.input(1).span<int32_t>()};
    if (x.num_elements() == 0) return invalid_argument("inputs must not be empty");
    if (static_cast<int64_t>(input.lengths.size()) != input.batch) {
      return failed_precondition("len(sequence_length) != batch_size: ", input.lengths.size(),
                                 " and ", input.batch);
    }
    for (int32_t length : input.lengths) {
      if (length > input.time) {
        return failed_precondition("sequence_length ", length, " is above the number of steps, ",
                                   input.time);
      }
    }
    return input;
  }
};

using LabelSequence = std::vector<int64_t>;

// Output `index` of each kind: the sequences as a sparse tensor [batch, longest].
Status store_sequences(KernelRun& r, int index, int paths,
                       std::span<const LabelSequence> sequences) {
  int64_t count = 0, longest = 0;
  for (const LabelSequence& one : sequences) {
    count += static_cast<int64_t>(one.size());
    longest = std::max(longest, static_cast<int64_t>(one.size()));
  }
  TENON_RETURN_IF_ERROR(r.allocate_output(index, Shape{count, 2}));
  TENON_RETURN_IF_ERROR(r.allocate_output(paths + index, Shape{count}));
  int64_t* place = r.out<int64_t>(index);
  int64_t* values = r.out<int64_t>(paths + index);
  for (size_t row = 0; row < sequences.size(); ++row) {
    for (size_t i = 0; i < sequences[row].size(); ++i) {
      *place++ = static_cast<int64_t>(row);
      *place++ = static_cast<int64_t>(i);
      *values++ = sequences[row][i];
    }
  }
  r.set_output(2 * paths + index,
               Tensor::vector<int64_t>({static_cast<int64_t>(sequences.size()), longest}));
  return absl::OkStatus();
}

template <class T>
Status decode_greedily(KernelRun& r, bool merge, int64_t blank_index) {
  TENON_ASSIGN_OR_RETURN(const CtcInput input, CtcInput::make(r));
  const int64_t blank = blank_index < 0 ? input.classes + blank_index : blank_index;
  if (blank < 0 || blank >= input.classes) {
    return invalid_argument("blank_index expected to be between ", -input.classes, " and ",
                            input.classes - 1, " but was ", blank_index);
  }
  std::vector<LabelSequence> sequences(static_cast<size_t>(input.batch));
  TENON_RETURN_IF_ERROR(r.allocate_output(3, Shape{input.batch, 1}));
  const T* x = r.in<T>(0);
  T* scores = r.out<T>(3);
  parallel_for(input.batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      T score = 0;
      int64_t before = -1;
      for (int64_t t = 0; t < input.lengths[static_cast<size_t>(b)]; ++t) {
        const T* row = x + (t * input.batch + b) * input.classes;
        int64_t best = 0;
        for (int64_t c = 1; c < input.classes; ++c) {
          if (row[c] > row[best]) best = c;
        }
        score -= row[best];
        if (best != blank && !(merge && best == before)) {
          sequences[static_cast<size_t>(b)].push_back(best);
        }
        before = best;
      }
      scores[b] = score;
    }
  });
  return store_sequences(r, 0, 1, sequences);
}

StatusOr<Kernel> make_greedy(Prepare& p) {
  const bool merge = p.attr<bool>("merge_repeated");
  const int64_t blank = p.attr<int64_t>("blank_index");
  Kernel kernel;
  visit<TypeList<float, double>>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) { return decode_greedily<T>(r, merge, blank); };
  });
  return kernel;
}

template <class T>
constexpr T kLogZero = -std::numeric_limits<T>::infinity();

// The correction is a float's whatever the dtype, as TensorFlow's (ctc_loss_util.h, LogSumExp).
template <class T>
T log_of_sum(T a, T b) {
  if (a == kLogZero<T>) return b;
  if (b == kLogZero<T>) return a;
  const auto apart = static_cast<float>(-std::abs(a - b));
  return std::max(a, b) + static_cast<T>(std::log1p(std::exp(apart)));
}

// A prefix of labels. Scores are logarithms of probabilities: of all paths that give the prefix,
// and of those that end in a blank or in its last label.
template <class T>
struct Prefix {
  struct Scores {
    T total = kLogZero<T>, blank = kLogZero<T>, label = kLogZero<T>;
  };
  Prefix* parent = nullptr;
  int64_t label = -1;
  Scores now, before;
  std::map<int64_t, Prefix*> children;

  bool active() const { return now.total != kLogZero<T>; }
};

// The search of one sequence: `leaves` are the likeliest prefixes, at most `width`, best first.
template <class T>
class BeamSearch {
 public:
  BeamSearch(int64_t classes, int64_t width)
      : classes_(classes), width_(static_cast<size_t>(width)) {
    root_.now.total = root_.now.blank = 0;
    leaves_.push_back(&root_);
  }

  void step(const T* scores) {
    // Scores become logarithms of probabilities.
    const T largest = *std::max_element(scores, scores + classes_);
    T sum = 0;
    for (int64_t c = 0; c < classes_; ++c) sum += std::exp(scores[c] - largest);
    const T norm = largest + std::log(sum);
    std::vector<Prefix<T>*> branches;
    branches.swap(leaves_);
    for (Prefix<T>* one : branches) one->before = one->now;
    for (Prefix<T>* one : branches) {
      lengthen(*one, scores, norm);
      insert(one);
    }
    for (Prefix<T>* one : branches) {
      if (!is_candidate(one->before.total)) continue;
      for (int64_t label = 0; label < classes_ - 1; ++label) grow(*one, label, scores, norm);
    }
  }

  const std::vector<Prefix<T>*>& leaves() const { return leaves_; }

 private:
  // The prefix stays as it is for another step.
  void lengthen(Prefix<T>& one, const T* scores, T norm) {
    if (one.parent) {
      if (one.parent->active()) {
        const auto& shorter = one.parent->before;
        const T previous = one.label == one.parent->label ? shorter.blank : shorter.total;
        one.now.label = log_of_sum(one.now.label, previous);
      }
      one.now.label += scores[one.label] - norm;
    }
    one.now.blank = one.before.total + scores[classes_ - 1] - norm;
    one.now.total = log_of_sum(one.now.blank, one.now.label);
  }

  void grow(Prefix<T>& one, int64_t label, const T* scores, T norm) {
    Prefix<T>& longer = child(one, label);
    if (longer.active()) return;
    longer.now.blank = kLogZero<T>;
    const T previous = label == one.label ? one.before.blank : one.before.total;
    longer.now.label = longer.now.total = scores[label] - norm + previous;
    if (!is_candidate(longer.now.total)) {
      longer.now = longer.before = {};
      return;
    }
    if (leaves_.size() == width_) {
      leaves_.back()->now = {};
      leaves_.pop_back();
    }
    insert(&longer);
  }

  Prefix<T>& child(Prefix<T>& one, int64_t label) {
    Prefix<T>*& found = one.children[label];
    if (!found) {
      found = &prefixes_.emplace_back();
      found->parent = &one;
      found->label = label;
    }
    return *found;
  }

  bool is_candidate(T score) const {
    return score > kLogZero<T> && (leaves_.size() < width_ || score > leaves_.back()->now.total);
  }
  // Equal ones stay in the order in which they came.
  void insert(Prefix<T>* one) {
    const auto at = std::upper_bound(
        leaves_.begin(), leaves_.end(), one,
        [](const Prefix<T>* a, const Prefix<T>* b) { return a->now.total > b->now.total; });
    leaves_.insert(at, one);
    if (leaves_.size() > width_) leaves_.pop_back();
  }

  int64_t classes_;
  size_t width_;
  Prefix<T> root_;
  // Of the whole tree: as deep as the sequence is long, so it is not freed by recursion.
  std::deque<Prefix<T>> prefixes_;
  std::vector<Prefix<T>*> leaves_;
};

template <class T>
LabelSequence labels_of(const Prefix<T>* one, bool merge) {
  LabelSequence labels;
  int64_t before = -1;
  for (; one->parent; one = one->parent) {
    if (!merge || one->label != before) labels.push_back(one->label);
    before = one->label;
  }
  std::reverse(labels.begin(), labels.end());
  return labels;
}

template <class T>
Status search_beams(KernelRun& r, int64_t width, int paths, bool merge) {
  TENON_ASSIGN_OR_RETURN(const CtcInput input, CtcInput::make(r));
  TENON_RETURN_IF_ERROR(r.allocate_output(3 * paths, Shape{input.batch, paths}));
  const T* x = r.in<T>(0);
  T* scores = r.out<T>(3 * paths);
  std::vector<std::vector<LabelSequence>> found(
      static_cast<size_t>(paths), std::vector<LabelSequence>(static_cast<size_t>(input.batch)));
  std::atomic<bool> enough = true;
  parallel_for(input.batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      BeamSearch<T> search(input.classes, width);
      for (int64_t t = 0; t < input.lengths[static_cast<size_t>(b)]; ++t) {
        search.step(x + (t * input.batch + b) * input.classes);
      }
      if (static_cast<int>(search.leaves().size()) < paths) {
        enough = false;
        return;
      }
      for (int path = 0; path < paths; ++path) {
        const Prefix<T>* leaf = search.leaves()[static_cast<size_t>(path)];
        found[static_cast<size_t>(path)][static_cast<size_t>(b)] = labels_of(leaf, merge);
        scores[b * paths + path] = leaf->now.total;
      }
    }
  });
  if (!enough) return invalid_argument("Less leaves in the beam search than requested.");
  for (int path = 0; path < paths; ++path) {
    TENON_RETURN_IF_ERROR(store_sequences(r, path, paths, found[static_cast<size_t>(path)]));
  }
  return absl::OkStatus();
}

StatusOr<Kernel> make_beam_search(Prepare& p) {
  const int64_t width = p.attr<int64_t>("beam_width"), paths = p.attr<int64_t>("top_paths");
  if (paths > width) return invalid_argument("requested more paths than the beam width.");
  const bool merge = p.attr<bool>("merge_repeated");
  Kernel kernel;
  visit<TypeList<float, double>>(p.input_dtype(0), [&]<class T>() {
    kernel = [=](KernelRun& r) {
      return search_beams<T>(r, width, static_cast<int>(paths), merge);
    };
  });
  return kernel;
}

}  // namespace

TENON_OP(CTCGreedyDecoder) = {
    .inputs = "inputs: T, sequence_length: int32",
    .outputs =
        "decoded_indices: int64, decoded_values: int64, decoded_shape: int64, log_probability: T",
    .attrs = "merge_repeated: bool = false; blank_index: int = -1; T: {float, double} = float",
    .supplies_outputs = true,
    .shape = greedy_shape,
    .gradient = not_differentiable,
    .kernels = {make_greedy},
};
TENON_OP(CTCBeamSearchDecoder) = {
    .inputs = "inputs: T, sequence_length: int32",
    .outputs =
        "decoded_indices: top_paths * int64, decoded_values: top_paths * int64, "
        "decoded_shape: top_paths * int64, log_probability: T",
    .attrs =
        "beam_width: int >= 1; top_paths: int >= 1; merge_repeated: bool = true; "
        "T: {float, double} = float",
    .supplies_outputs = true,
    .shape = beam_shape,
    .gradient = not_differentiable,
    .kernels = {make_beam_search},
};

}  // namespace tenon
