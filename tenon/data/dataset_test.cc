#include "tenon/data/dataset.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <thread>

#include "tenon/data/transforms.h"

namespace tenon::data {
namespace {

DatasetPtr numbers(int64_t count) {
  Tensor x(DType::kInt64, Shape{count, 2}), y(DType::kInt64, Shape{count});
  for (int64_t i = 0; i < count; ++i) {
    x.mutable_data<int64_t>()[2 * i] = x.mutable_data<int64_t>()[2 * i + 1] = i;
    y.mutable_data<int64_t>()[i] = i;
  }
  return *from_tensors({x, y});
}

// The second component of all elements, one after the other.
std::vector<int64_t> all_of(const Dataset& dataset, uint64_t epoch = 0) {
  std::vector<int64_t> values;
  auto iterator = *dataset.iterate(epoch);
  Element element;
  for (;;) {
    const StatusOr<bool> more = iterator->next(element);
    EXPECT_TRUE(more.ok()) << more.status();
    if (!more.ok() || !*more) return values;
    EXPECT_EQ(element[0].num_elements(), 2 * element[1].num_elements());
    for (int64_t i = 0; i < element[1].num_elements(); ++i) {
      EXPECT_EQ(element[0].data<int64_t>()[2 * i], element[1].data<int64_t>()[i]);
      values.push_back(element[1].data<int64_t>()[i]);
    }
  }
}

std::vector<int64_t> sorted(std::vector<int64_t> values) {
  std::sort(values.begin(), values.end());
  return values;
}

std::vector<int64_t> counted(int64_t count) {
  std::vector<int64_t> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), 0);
  return values;
}

TEST(Dataset, ShuffleIsAPermutationThatSeedAndEpochDecide) {
  for (const int64_t buffer : {7, 100, 1000}) {
    const DatasetPtr shuffled = shuffle(numbers(100), buffer, 3);
    const std::vector<int64_t> first = all_of(*shuffled, 0);
    EXPECT_EQ(sorted(first), counted(100));
    EXPECT_NE(first, counted(100));
    EXPECT_EQ(first, all_of(*shuffled, 0));
    EXPECT_NE(first, all_of(*shuffled, 1));
    EXPECT_NE(first, all_of(*shuffle(numbers(100), buffer, 4), 0));
    EXPECT_EQ(sorted(all_of(*batch(shuffled, 8))), counted(100));
  }
}

TEST(Dataset, PermutationsOfThreeAreEquallyLikely) {
  std::map<std::vector<int64_t>, int> seen;
  for (uint64_t epoch = 0; epoch < 6000; ++epoch) ++seen[permutation(3, {1}, epoch)];
  EXPECT_EQ(seen.size(), 6u);
  // Six deviations of a binomial with n = 6000, p = 1/6.
  for (const auto& [order, count] : seen) EXPECT_NEAR(count, 1000, 6 * 29);
}

TEST(Dataset, BatchesHoldTheRemainderUnlessItIsDropped) {
  const DatasetPtr rows = numbers(10);
  EXPECT_EQ(batch(rows, 4)->size(), 3);
  EXPECT_EQ(all_of(*batch(rows, 4)), counted(10));
  EXPECT_EQ(batch(rows, 4, true)->size(), 2);
  EXPECT_EQ(all_of(*batch(rows, 4, true)), counted(8));
}

TEST(Dataset, BatchesOfAKeptElementReuseItsMemory) {
  const DatasetPtr batches = batch(shuffle(numbers(32), 32, 1), 8);
  auto iterator = *batches->iterate(0);
  Element element;
  ASSERT_TRUE(*iterator->next(element));
  const void* const memory = element[0].raw();
  while (*iterator->next(element)) EXPECT_EQ(element[0].raw(), memory);
}

TEST(Dataset, CacheServesTheFirstPassAgain) {
  const DatasetPtr cached = cache(batch(shuffle(numbers(20), 20, 5), 6));
  const std::vector<int64_t> first = all_of(*cached, 0);
  EXPECT_EQ(all_of(*cached, 1), first);
}

TEST(Dataset, PrefetchGivesTheSameElementsInOrder) {
  const DatasetPtr batches = batch(shuffle(numbers(100), 100, 5), 7);
  for (int depth : {1, 2, 50}) EXPECT_EQ(all_of(*prefetch(batches, depth)), all_of(*batches));
}

// Counts what is made of it, and waits before element `gate` until it is opened.
struct Gated {
  std::atomic<int64_t> made{0}, gate{INT64_MAX};
  size_t bytes = 8;

  DatasetPtr dataset() {
    return map(numbers(1 << 20), [this](Element) -> StatusOr<Element> {
      while (made >= gate) std::this_thread::yield();
      ++made;
      return Element{Tensor(DType::kInt8, Shape{static_cast<int64_t>(bytes)})};
    });
  }
  // Whether `count` elements are made within ten seconds.
  bool makes(int64_t count) const {
    for (int i = 0; i < 10000 && made < count; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return made >= count;
  }
};

TEST(Dataset, TunedPrefetchGrowsWhereAFullBufferRanEmpty) {
  Gated source;
  source.gate = 3;
  auto iterator = *prefetch(source.dataset())->iterate(0);
  Element element;
  ASSERT_TRUE(*iterator->next(element));  // the first is waited for: that is no reason to grow
  ASSERT_TRUE(source.makes(3));
  source.gate = INT64_MAX;
  ASSERT_TRUE(source.makes(3));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(source.made, 3) << "one taken, two made ahead";
  source.gate = 3;
  ASSERT_TRUE(*iterator->next(element));
  ASSERT_TRUE(*iterator->next(element));
  std::thread opens([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    source.gate = INT64_MAX;
  });
  ASSERT_TRUE(*iterator->next(element));  // the buffer, which was full, is empty
  opens.join();
  EXPECT_TRUE(source.makes(4 + 4));
}

TEST(Dataset, TunedPrefetchIsBoundedByBytes) {
  Gated source;
  source.bytes = size_t{40} << 20;
  auto iterator = *prefetch(source.dataset())->iterate(0);
  Element element;
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(*iterator->next(element));
    EXPECT_LE(source.made, i + 1 + 3);  // taken, two ready, one that is being made
  }
}

TEST(Dataset, PrefetchStopsWhenItsReaderLeaves) {
  auto iterator = *prefetch(batch(numbers(1000), 1), 3)->iterate(0);
  Element element;
  EXPECT_TRUE(*iterator->next(element));
}

TEST(Dataset, ErrorsComeThroughEveryStep) {
  class Broken final : public Dataset {
   public:
    StatusOr<std::unique_ptr<Iterator>> iterate(uint64_t) const override {
      class Failing final : public Iterator {
        StatusOr<bool> next(Element&) override { return data_loss("gone"); }
      };
      return std::make_unique<Failing>();
    }
    int64_t size() const override { return -1; }
  };
  const DatasetPtr broken = std::make_shared<Broken>();
  for (const DatasetPtr& dataset :
       {prefetch(broken, 2), shuffle(broken, 3, 1), batch(broken, 2), cache(broken)}) {
    auto iterator = *dataset->iterate(0);
    Element element;
    EXPECT_EQ(iterator->next(element).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST(Dataset, ColumnsOfDifferentLengthAreRefused) {
  EXPECT_FALSE(
      from_tensors({Tensor(DType::kFloat, Shape{3}), Tensor(DType::kFloat, Shape{4})}).ok());
  EXPECT_FALSE(from_tensors({}).ok());
  EXPECT_FALSE(from_tensors({Tensor::scalar(1.0f)}).ok());
}

}  // namespace
}  // namespace tenon::data
