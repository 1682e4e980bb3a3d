#include <numeric>

#include "tenon/data/dataset_of.h"
#include "tenon/data/transforms.h"
#include "tenon/kernels/philox.h"

namespace tenon::data {

namespace {

// Random 32-bit words, a block at a time.
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

class ShuffleIterator final : public Iterator {
 public:
  ShuffleIterator(std::unique_ptr<Iterator> source, int64_t buffer, uint64_t seed, uint64_t epoch)
      : source_(std::move(source)), capacity_(static_cast<size_t>(buffer)), words_(seed, epoch) {}
  StatusOr<bool> next(Element& element) override {
    while (!ended_ && buffer_.size() < capacity_) {
      Element fresh;
      TENON_ASSIGN_OR_RETURN(const bool more, source_->next(fresh));
      if (more) {
        buffer_.push_back(std::move(fresh));
      } else {
        ended_ = true;
      }
    }
    if (buffer_.empty()) return false;
    std::swap(buffer_[static_cast<size_t>(words_.below(static_cast<int64_t>(buffer_.size())))],
              buffer_.back());
    element = std::move(buffer_.back());
    buffer_.pop_back();
    return true;
  }

 private:
  std::unique_ptr<Iterator> source_;
  size_t capacity_;
  Words words_;
  std::vector<Element> buffer_;
  bool ended_ = false;
};

class ShuffleDataset final : public Dataset {
 public:
  ShuffleDataset(DatasetPtr source, int64_t buffer, uint64_t seed, bool reshuffle)
      : source_(std::move(source)),
        buffer_(std::max<int64_t>(1, buffer)),
        seed_(seed),
        reshuffle_(reshuffle) {}
  StatusOr<std::unique_ptr<Iterator>> iterate(uint64_t epoch) const override {
    // Rows in memory come in one order, whether they are batched at once or pass other steps first.
    if (std::optional<Columns> rows = columns(epoch)) {
      return iterate_columns(*std::move(rows), source_);
    }
    TENON_ASSIGN_OR_RETURN(std::unique_ptr<Iterator> source, source_->iterate(epoch));
    return std::make_unique<ShuffleIterator>(std::move(source), buffer_, seed_, order_of(epoch));
  }
  int64_t size() const override { return source_->size(); }
  std::optional<Columns> columns(uint64_t epoch) const override {
    std::optional<Columns> rows = source_->columns(epoch);
    if (!rows || source_->size() > buffer_) return std::nullopt;
    std::vector<int64_t> order = permutation(source_->size(), seed_, order_of(epoch));
    if (!rows->order.empty()) {
      for (int64_t& row : order) row = rows->order[static_cast<size_t>(row)];
    }
    rows->order = std::move(order);
    return rows;
  }

 private:
  uint64_t order_of(uint64_t epoch) const { return reshuffle_ ? epoch : 0; }

  DatasetPtr source_;
  int64_t buffer_;
  uint64_t seed_;
  bool reshuffle_;
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

std::vector<int64_t> permutation(int64_t count, uint64_t seed, uint64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  Words words(seed, epoch);
  for (int64_t i = count - 1; i > 0; --i) {
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(words.below(i + 1))]);
  }
  return order;
}

DatasetPtr shuffle(DatasetPtr rows, int64_t buffer_size, uint64_t seed, bool reshuffle) {
  return std::make_shared<ShuffleDataset>(std::move(rows), buffer_size, seed, reshuffle);
}

}  // namespace tenon::data
