#include <deque>
#include <numeric>

#include "tenon/data/dataset_of.h"
#include "tenon/data/transforms.h"
#include "tenon/kernels/philox.h"

namespace tenon::data {

namespace {

// Random numbers of draws().
class Words {
 public:
  Words(uint64_t seed, uint64_t epoch) : philox_(kernels::Philox::from_seeds(seed, epoch + 1)) {}
  // Below `bound`, by Lemire's multiplication: bias under 2^-32 times bound.
  int64_t below(int64_t bound) {
    if (at_ == 4) {
      block_ = philox_.next();
      at_ = 0;
    }
    const uint64_t low = block_[at_++];
    const uint64_t high = at_ < 4 ? block_[at_++] : 0;
    const unsigned __int128 product =
        static_cast<unsigned __int128>((high << 32) | low) * static_cast<uint64_t>(bound);
    return static_cast<int64_t>(product >> 64);
  }

 private:
  kernels::Philox philox_;
  kernels::Philox::Block block_{};
  size_t at_ = 4;
};

// TensorFlow's generator of 32-bit words (random_distributions.h, SingleSampleAdapter).
class ShuffleWords {
 public:
  explicit ShuffleWords(ShuffleSeeds seeds)
      : philox_(kernels::Philox::from_seeds(seeds.seed, seeds.seed2)) {}
  uint32_t next() {
    if (at_ == block_.size()) {
      block_ = philox_.next();
      at_ = 0;
    }
    return block_[at_++];
  }
  void skip_blocks(uint64_t count) { philox_.skip(count); }
  // Below `bound`, by the remainder.
  int64_t below(int64_t bound) { return next() % bound; }

 private:
  kernels::Philox philox_;
  kernels::Philox::Block block_{};
  size_t at_ = 4;
};

// The seeds of pass `pass`: each takes two words of the shuffle's own generator.
ShuffleSeeds seeds_of_pass(ShuffleSeeds seeds, bool reshuffle, uint64_t pass) {
  if (!reshuffle) return seeds;
  ShuffleWords words(seeds);
  words.skip_blocks(pass / 2);
  for (uint64_t i = 0; i < pass % 2 * 2; ++i) words.next();
  const uint64_t first = words.next(), second = words.next();
  return {first, second};
}

struct ShuffleOptions {
  int64_t buffer = 1;
  ShuffleSeeds seeds;
  bool reshuffle = true;
  int64_t passes = 1;  // over the source, one after the other through the buffer; -1: without end
};

// The buffer is a ring. Of the elements of the pass that is at its front one is drawn; the one at
// the front takes its place.
class ShuffleIterator final : public Iterator {
 public:
  // `pass` is the first one's number.
  ShuffleIterator(DatasetPtr source, const ShuffleOptions& options, uint64_t pass)
      : source_(std::move(source)),
        o_(options),
        pass_(pass),
        words_(seeds_of_pass(o_.seeds, o_.reshuffle, pass)) {}

  StatusOr<bool> next(Element& element) override {
    TENON_RETURN_IF_ERROR(fill());
    if (held_ == 0) return false;
    while (parts_.front().begin == parts_.front().end) {
      parts_.pop_front();
      words_ = ShuffleWords(seeds_of_pass(o_.seeds, o_.reshuffle, ++drawn_from_ + pass_));
    }
    Part& part = parts_.front();
    const int64_t drawn = part.begin + words_.below(part.end - part.begin);
    element = std::move(at(drawn));
    if (drawn != part.begin) at(drawn) = std::move(at(part.begin));
    ++part.begin;
    --held_;
    return true;
  }

 private:
  // Elements of one pass that are in the buffer, by how many came before them.
  struct Part {
    int64_t begin, end;
  };

  Element& at(int64_t index) { return ring_[static_cast<size_t>(index % o_.buffer)]; }

  Status fill() {
    while (held_ < o_.buffer) {
      if (!reading_) {
        if (o_.passes >= 0 && begun_ == o_.passes) return absl::OkStatus();
        // A source that gave nothing will give nothing.
        if (begun_ > 0 && !any_) return absl::OkStatus();
        any_ = false;
        TENON_ASSIGN_OR_RETURN(reading_, source_->iterate(pass_ + static_cast<uint64_t>(begun_)));
        ++begun_;
        const int64_t end = parts_.empty() ? 0 : parts_.back().end;
        parts_.push_back({end, end});
      }
      Element fresh;
      TENON_ASSIGN_OR_RETURN(const bool more, reading_->next(fresh));
      if (!more) {
        reading_ = nullptr;
        continue;
      }
      any_ = true;
      const int64_t place = parts_.back().end++ % o_.buffer;
      if (static_cast<size_t>(place) == ring_.size()) {
        ring_.push_back(std::move(fresh));
      } else {
        ring_[static_cast<size_t>(place)] = std::move(fresh);
      }
      ++held_;
    }
    return absl::OkStatus();
  }

  const DatasetPtr source_;
  const ShuffleOptions o_;
  const uint64_t pass_;
  ShuffleWords words_;
  std::vector<Element> ring_;
  std::deque<Part> parts_;
  int64_t held_ = 0;
  std::unique_ptr<Iterator> reading_;
  int64_t begun_ = 0;        // passes
  uint64_t drawn_from_ = 0;  // the pass that is drawn from
  bool any_ = false;         // has the pass that is read given an element?
};

class ShuffleDataset final : public Dataset {
 public:
  ShuffleDataset(DatasetPtr source, const ShuffleOptions& options)
      : source_(std::move(source)), o_(options) {}
  StatusOr<std::unique_ptr<Iterator>> iterate(uint64_t epoch) const override {
    // Rows in memory come in one order, whether they are batched at once or pass other steps first.
    if (std::optional<Columns> rows = columns(epoch)) {
      return iterate_columns(*std::move(rows), source_);
    }
    const uint64_t first = o_.passes > 0 ? epoch * static_cast<uint64_t>(o_.passes) : epoch;
    return std::make_unique<ShuffleIterator>(source_, o_, first);
  }
  int64_t size() const override {
    const int64_t size = source_->size();
    if (size == 0 || o_.passes == 0) return 0;
    return size < 0 || o_.passes < 0 ? -1 : saturated_product(size, o_.passes);
  }
  std::optional<Columns> columns(uint64_t epoch) const override {
    if (o_.passes != 1) return std::nullopt;
    std::optional<Columns> rows = source_->columns(epoch);
    if (!rows || source_->size() > o_.buffer) return std::nullopt;
    std::vector<int64_t> order =
        permutation(source_->size(), o_.seeds, o_.reshuffle ? std::optional(epoch) : std::nullopt);
    if (!rows->order.empty()) {
      for (int64_t& row : order) row = rows->order[static_cast<size_t>(row)];
    }
    rows->order = std::move(order);
    return rows;
  }

 private:
  const DatasetPtr source_;
  const ShuffleOptions o_;
};

class DrawsIterator final : public Iterator {
 public:
  DrawsIterator(std::vector<double> bounds, uint64_t seed, uint64_t epoch)
      : bounds_(std::move(bounds)), words_(seed, epoch) {}
  StatusOr<bool> next(Element& element) override {
    constexpr int64_t kSteps = int64_t{1} << 53;
    const double at = static_cast<double>(words_.below(kSteps)) / kSteps * bounds_.back();
    const auto found = std::upper_bound(bounds_.begin(), bounds_.end(), at);
    element.assign(1, Tensor::scalar<int64_t>(found - bounds_.begin()));
    return true;
  }

 private:
  std::vector<double> bounds_;  // sums of the weights up to each
  Words words_;
};

}  // namespace

DatasetPtr draws(std::vector<double> weights, uint64_t seed, bool redraw) {
  std::partial_sum(weights.begin(), weights.end(), weights.begin());
  return dataset_of(
      [bounds = std::move(weights), seed, redraw](uint64_t epoch) -> IteratorOr {
        return std::make_unique<DrawsIterator>(bounds, seed, redraw ? epoch : 0);
      },
      []() -> int64_t { return -1; });
}

std::vector<int64_t> permutation(int64_t count, ShuffleSeeds seeds, std::optional<uint64_t> epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  ShuffleWords words(seeds_of_pass(seeds, epoch.has_value(), epoch.value_or(0)));
  for (int64_t i = 0; i < count; ++i) {
    std::swap(order[static_cast<size_t>(i)],
              order[static_cast<size_t>(i + words.below(count - i))]);
  }
  return order;
}

DatasetPtr shuffle(DatasetPtr rows, int64_t buffer_size, ShuffleSeeds seeds, bool reshuffle) {
  return std::make_shared<ShuffleDataset>(
      std::move(rows), ShuffleOptions{std::max<int64_t>(1, buffer_size), seeds, reshuffle});
}

DatasetPtr shuffle_and_repeat(DatasetPtr rows, int64_t buffer_size, ShuffleSeeds seeds,
                              int64_t count) {
  return std::make_shared<ShuffleDataset>(
      std::move(rows), ShuffleOptions{std::max<int64_t>(1, buffer_size), seeds, true, count});
}

}  // namespace tenon::data
