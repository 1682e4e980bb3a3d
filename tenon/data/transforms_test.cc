#include "tenon/data/transforms.h"

#include <set>
#include <thread>

#include "tenon/base/files.h"
#include "tenon/data/dataset_value.h"
#include "tenon/data/pipeline_test.h"
#include "tenon/data/reader.h"
#include "tenon/data/sources.h"

namespace tenon::data {
namespace {

int64_t value_of(const Element& element) { return integer_at(element[0], 0); }

// int64 rows 1 ... n for each length n.
DatasetPtr ragged(std::vector<int64_t> lengths) {
  return from_generator([lengths = std::move(lengths)](uint64_t) -> StatusOr<Generator> {
    return [lengths, at = size_t{0}](Element& element) mutable -> StatusOr<bool> {
      if (at == lengths.size()) return false;
      std::vector<int64_t> row;
      for (int64_t i = 1; i <= lengths[at]; ++i) row.push_back(i);
      element.assign(1, Tensor::vector<int64_t>(row));
      ++at;
      return true;
    };
  });
}

DatasetPtr matrices(std::vector<std::pair<int64_t, int64_t>> sizes) {
  return map(range(0, static_cast<int64_t>(sizes.size())),
             [sizes](Element element) -> StatusOr<Element> {
               const auto [rows, columns] = sizes[static_cast<size_t>(value_of(element))];
               Tensor matrix(DType::kInt64, Shape{rows, columns});
               for (int64_t i = 0; i < rows * columns; ++i) {
                 matrix.mutable_data<int64_t>()[i] = i + 1;
               }
               return Element{matrix};
             });
}

DatasetPtr texts() {
  return map(range(0, 2), [](Element element) -> StatusOr<Element> {
    const std::vector<std::string> rows[] = {{"a"}, {"b", "cc"}};
    const auto& row = rows[value_of(element)];
    return Element{Tensor::strings(Shape{static_cast<int64_t>(row.size())}, row)};
  });
}

FlatMapFunction ranges(std::function<std::pair<int64_t, int64_t>(int64_t)> bounds) {
  return [bounds = std::move(bounds)](const Element& element) -> StatusOr<DatasetPtr> {
    const auto [begin, end] = bounds(value_of(element));
    return range(begin, end);
  };
}

StatusOr<Element> squared(Element element) {
  const int64_t x = value_of(element);
  return Element{Tensor::scalar<int64_t>(x * x), Tensor::scalar<int64_t>(-x)};
}

StatusOr<int64_t> length_of(const Element& element) { return element[0].dim(0); }

DatasetPtr buckets(std::vector<int64_t> lengths, std::vector<int64_t> sizes, bool drop = false,
                   bool pad_to_boundary = false) {
  return *bucket_by_length(ragged(std::move(lengths)), length_of,
                           {.boundaries = {3, 5},
                            .batch_sizes = std::move(sizes),
                            .pad_to_boundary = pad_to_boundary,
                            .padding = {.drop_remainder = drop}});
}

const auto tens = [](int64_t x) { return std::pair(x * 10, x * 10 + x); };
const auto upto = [](int64_t x) { return std::pair<int64_t, int64_t>(0, x); };

Padding padded_to(PartialShape shape, int64_t value) {
  return {.shapes = {std::move(shape)}, .values = {Tensor::scalar<int64_t>(value)}};
}

DatasetPtr six_times_each() {
  return interleave(
      range(1, 6),
      [](const Element& element) -> StatusOr<DatasetPtr> {
        const int64_t x = value_of(element);
        return repeat(range(x, x + 1), 6);
      },
      2, 4);
}

// A dataset; the expression with D = tf.data.Dataset and R = D.range that TensorFlow 2.21 gave
// `expected` for, elements printed as pipeline_test.h does. ragged([n, ...]) has int64 rows 1 ...
// n.
struct Reference {
  const char* expression;
  DatasetPtr dataset;
  const char* expected;
};

std::vector<Reference> references() {
  return {
      {"R(7).batch(3)", batch(range(0, 7), 3), "[0,1,2]|[3,4,5]|[6]"},
      {"R(7).batch(3, drop_remainder=True)", batch(range(0, 7), 3, true), "[0,1,2]|[3,4,5]"},
      {"R(2,11,3)", range(2, 11, 3), "2|5|8"},
      {"R(5,-3,-2)", range(5, -3, -2), "5|3|1|-1"},
      {"R(10).take(3)", take(range(0, 10), 3), "0|1|2"},
      {"R(3).take(-1)", take(range(0, 3), -1), "0|1|2"},
      {"R(5).skip(3)", skip(range(0, 5), 3), "3|4"},
      {"R(5).skip(-1)", skip(range(0, 5), -1), ""},
      {"R(5).skip(9)", skip(range(0, 5), 9), ""},
      {"R(3).repeat(2)", repeat(range(0, 3), 2), "0|1|2|0|1|2"},
      {"R(3).repeat(0)", repeat(range(0, 3), 0), ""},
      {"R(3).repeat().take(7)", take(repeat(range(0, 3)), 7), "0|1|2|0|1|2|0"},
      {"R(0).repeat().take(7)", take(repeat(range(0, 0)), 7), ""},
      {"R(10).shard(3,1)", *shard(range(0, 10), 3, 1), "1|4|7"},
      {"R(2).shard(3,2)", *shard(range(0, 2), 3, 2), ""},
      {"D.zip((R(3),R(10,15)))", *zip({range(0, 3), range(10, 15)}), "0 10|1 11|2 12"},
      {"R(3).concatenate(R(7,9))", concatenate(range(0, 3), range(7, 9)), "0|1|2|7|8"},
      {"R(9).filter(lambda x: x%3!=1)",
       filter(range(0, 9), [](const Element& e) -> StatusOr<bool> { return value_of(e) % 3 != 1; }),
       "0|2|3|5|6|8"},
      {"R(4).map(lambda x: (x*x,-x))", map(range(0, 4), squared), "0 0|1 -1|4 -2|9 -3"},
      {"R(4).map(lambda x: (x*x,-x), num_parallel_calls=3)", map(range(0, 4), squared, 3),
       "0 0|1 -1|4 -2|9 -3"},
      {"R(4).flat_map(lambda x: R(x))", flat_map(range(0, 4), ranges(upto)), "0|0|1|0|1|2"},
      {"R(1,6).interleave(lambda x: D.from_tensors(x).repeat(6), cycle_length=2, block_length=4)",
       six_times_each(), "1|1|1|1|2|2|2|2|1|1|2|2|3|3|3|3|4|4|4|4|3|3|4|4|5|5|5|5|5|5"},
      {"R(5).interleave(lambda x: R(x*10,x*10+x), cycle_length=3, block_length=2)",
       interleave(range(0, 5), ranges(tens), 3, 2), "10|20|21|30|31|40|41|32|42|43"},
      {"R(5).interleave(lambda x: R(x*10,x*10+x), cycle_length=3, block_length=1)",
       interleave(range(0, 5), ranges(tens), 3), "10|20|30|21|31|40|32|41|42|43"},
      {"R(6).interleave(lambda x: R(x), cycle_length=10, block_length=1)",
       interleave(range(0, 6), ranges(upto), 10), "0|0|0|0|0|1|1|1|1|2|2|2|3|3|4"},
      {"R(7).window(3).flat_map(lambda w: w.batch(3))", window(range(0, 7), 3),
       "[0,1,2]|[3,4,5]|[6]"},
      {"R(7).window(3,drop_remainder=True).flat_map(...)", window(range(0, 7), 3, 0, 1, true),
       "[0,1,2]|[3,4,5]"},
      {"R(7).window(3,1,1,True).flat_map(...)", window(range(0, 7), 3, 1, 1, true),
       "[0,1,2]|[1,2,3]|[2,3,4]|[3,4,5]|[4,5,6]"},
      {"R(7).window(3,2,2).flat_map(...)", window(range(0, 7), 3, 2, 2),
       "[0,2,4]|[2,4,6]|[4,6]|[6]"},
      {"R(9).window(3,1,3,True).flat_map(...)", window(range(0, 9), 3, 1, 3, true),
       "[0,3,6]|[1,4,7]|[2,5,8]"},
      {"R(9).window(2,4,1).flat_map(...)", window(range(0, 9), 2, 4), "[0,1]|[4,5]|[8]"},
      {"R(9).window(2,4,3).flat_map(...)", window(range(0, 9), 2, 4, 3), "[0,3]|[4,7]|[8]"},
      {"R(10).window(3,5,2).flat_map(...)", window(range(0, 10), 3, 5, 2), "[0,2,4]|[5,7,9]"},
      {"R(7).window(3,2,2).flat_map(lambda w: w.skip(1))",
       flat_map(windows(range(0, 7), 3, 2, 2),
                [](const Element& element) -> StatusOr<DatasetPtr> {
                  TENON_ASSIGN_OR_RETURN(const DatasetPtr window, dataset_in(element[0]));
                  return skip(window, 1);
                }),
       "2|4|4|6|6"},
      {"R(7).batch(3).unbatch()", unbatch(batch(range(0, 7), 3)), "0|1|2|3|4|5|6"},
      {"R(4).batch(2).batch(2).unbatch()", unbatch(batch(batch(range(0, 4), 2), 2)), "[0,1]|[2,3]"},
      {"ragged([0,2,0,1]).unbatch()", unbatch(ragged({0, 2, 0, 1})), "1|2|1"},
      {"R(9).take_while(lambda x: x < 3)",
       take_while(range(0, 9), [](const Element& e) -> StatusOr<bool> { return value_of(e) < 3; }),
       "0|1|2"},
      {"R(3).padded_batch(2)", padded_batch(range(0, 3), 2), "[0,1]|[2]"},
      {"ragged([1,3,2,4,1]).padded_batch(2)", padded_batch(ragged({1, 3, 2, 4, 1}), 2),
       "[[1,0,0],[1,2,3]]|[[1,2,0,0],[1,2,3,4]]|[[1]]"},
      {"ragged([1,3,2,4,1]).padded_batch(2,drop_remainder=True)",
       padded_batch(ragged({1, 3, 2, 4, 1}), 2, {.drop_remainder = true}),
       "[[1,0,0],[1,2,3]]|[[1,2,0,0],[1,2,3,4]]"},
      {"ragged([1,3,2]).padded_batch(2,padded_shapes=[4],padding_values=-1)",
       padded_batch(ragged({1, 3, 2}), 2, padded_to({4}, -1)),
       "[[1,-1,-1,-1],[1,2,3,-1]]|[[1,2,-1,-1]]"},
      {"ragged([1,0,2]).padded_batch(3)", padded_batch(ragged({1, 0, 2}), 3),
       "[[1,0],[0,0],[1,2]]"},
      {"ragged([0,0]).padded_batch(2)", padded_batch(ragged({0, 0}), 2), "[[],[]]"},
      {"matrices 1x2, 2x1, 3x0 .padded_batch(3)",
       padded_batch(matrices({{1, 2}, {2, 1}, {3, 0}}), 3),
       "[[[1,2],[0,0],[0,0]],[[1,0],[2,0],[0,0]],[[0,0],[0,0],[0,0]]]"},
      {"matrices 1x2, 2x1 .padded_batch(2,padded_shapes=[None,3],padding_values=9)",
       padded_batch(matrices({{1, 2}, {2, 1}}), 2, padded_to({-1, 3}, 9)),
       "[[[1,2,9],[9,9,9]],[[1,9,9],[2,9,9]]]"},
      {"ragged([1,3]).padded_batch(2,padded_shapes=[2])",
       padded_batch(ragged({1, 3}), 2, padded_to({2}, 0)), "DATA_LOSS"},
      {"D of [a] and [b,cc] .padded_batch(2)", padded_batch(texts(), 2), "[[a,],[b,cc]]"},
      {"D of [a] and [b,cc] .padded_batch(2,padding_values='-')",
       padded_batch(texts(), 2, {.values = {Tensor::string("-")}}), "[[a,-],[b,cc]]"},
      {"ragged([...]).bucket_by_sequence_length(length,[3,5],[2,2,2])",
       buckets({1, 5, 2, 3, 8, 2, 4, 1, 7, 3}, {2, 2, 2}),
       "[[1,0],[1,2]]|[[1,2,3,4,5,0,0,0],[1,2,3,4,5,6,7,8]]|[[1,2,3,0],[1,2,3,4]]|[[1,2],[1,0]]|"
       "[[1,2,3]]|[[1,2,3,4,5,6,7]]"},
      {"... .bucket_by_sequence_length(length,[3,5],[2,2,3],drop_remainder=True)",
       buckets({1, 5, 2, 3, 8, 2, 4, 1, 7, 3, 1}, {2, 2, 3}, true),
       "[[1,0],[1,2]]|[[1,2,3,0],[1,2,3,4]]|[[1,2],[1,0]]|"
       "[[1,2,3,4,5,0,0,0],[1,2,3,4,5,6,7,8],[1,2,3,4,5,6,7,0]]"},
      {"ragged([7,1,3]).bucket_by_sequence_length(length,[3,5],[2,2,2])",
       buckets({7, 1, 3}, {2, 2, 2}), "[[1]]|[[1,2,3]]|[[1,2,3,4,5,6,7]]"},
      {"ragged([1,3,2,4]).bucket_by_sequence_length(...,pad_to_bucket_boundary=True)",
       buckets({1, 3, 2, 4}, {2, 2, 2}, false, true), "[[1,0],[1,2]]|[[1,2,3,0],[1,2,3,4]]"},
      {"ragged([1,6]).bucket_by_sequence_length(...,pad_to_bucket_boundary=True)",
       buckets({1, 6}, {2, 2, 2}, false, true), "INVALID_ARGUMENT"},
      {"ragged([1,3]).batch(2)", batch(ragged({1, 3}), 2), "INVALID_ARGUMENT"},
      {"D.from_tensor_slices(([1,2],['a','b'])).batch(2)",
       batch(*zip({range(1, 3),
                   *from_tensors({Tensor::strings({2}, std::vector<std::string>{"a", "b"})})}),
             2),
       "[1,2] [a,b]"},
      {"R(5).batch(2).cache().repeat(2)", repeat(cache(batch(range(0, 5), 2)), 2),
       "[0,1]|[2,3]|[4]|[0,1]|[2,3]|[4]"},
  };
}

int64_t count_of(const std::string& text) {
  return text.empty() ? 0 : std::count(text.begin(), text.end(), '|') + 1;
}

TEST(Transforms, GiveWhatTensorFlowGives) {
  for (const Reference& row : references()) {
    EXPECT_EQ(text_of(row.dataset), row.expected) << row.expression;
    EXPECT_EQ(text_of(prefetch(row.dataset, 2)), row.expected) << row.expression;
    const int64_t size = row.dataset->size();
    const bool fails = std::string_view(row.expected).find_first_of("DI") != std::string::npos;
    if (size >= 0 && !fails) {
      EXPECT_EQ(size, count_of(row.expected)) << row.expression;
    }
  }
}

// Passing over n elements is taking n elements, however a step does it.
TEST(Transforms, SkippingIsTaking) {
  for (const Reference& row : references()) {
    const std::string whole = row.expected;
    if (whole.find_first_of("DI") != std::string::npos) continue;
    for (const DatasetPtr& dataset : {row.dataset, prefetch(row.dataset, 2)}) {
      for (int64_t first = 0; first <= 1; ++first) {
        for (int64_t count = 0; count <= count_of(whole) + 2; ++count) {
          auto iterator = *dataset->iterate(0);
          Element element;
          if (first) {
            EXPECT_EQ(*iterator->next(element), count_of(whole) > 0);
          }
          const int64_t passed = *iterator->skip(count);
          const int64_t left = std::max<int64_t>(0, count_of(whole) - first);
          EXPECT_EQ(passed, std::min(count, left)) << row.expression;
          std::string rest = whole;
          for (int64_t i = 0; i < first + passed && !rest.empty(); ++i) {
            const size_t bar = rest.find('|');
            rest = bar == rest.npos ? "" : rest.substr(bar + 1);
          }
          EXPECT_EQ(text_of(*iterator), rest) << row.expression << " after " << first + passed;
        }
      }
    }
  }
}

TEST(Transforms, ArgumentsAreChecked) {
  for (const auto& [shards, index] : {std::pair(3, 3), {3, -1}, {0, 0}, {-1, 0}}) {
    EXPECT_FALSE(shard(range(0, 3), shards, index).ok());
  }
  EXPECT_FALSE(zip({}).ok());
  EXPECT_FALSE(bucket_by_length(range(0, 3), length_of, {{3, 3}, {1, 1, 1}}).ok());
  EXPECT_FALSE(bucket_by_length(range(0, 3), length_of, {{3, 5}, {1, 1}}).ok());
  EXPECT_FALSE(bucket_by_length(range(0, 3), length_of, {{3}, {0, 1}}).ok());
  EXPECT_EQ(text_of(padded_batch(range(0, 2), 2, padded_to({}, 1))), "[0,1]");
  EXPECT_EQ(text_of(padded_batch(range(0, 2), 2, padded_to({3}, 1))), "INVALID_ARGUMENT");
  EXPECT_EQ(text_of(padded_batch(range(0, 2), 2, {.values = {Tensor::scalar(1.0f)}})),
            "INVALID_ARGUMENT");
  // Sizes that no memory holds and counts that fit in no number.
  EXPECT_EQ(text_of(padded_batch(ragged({1}), 1, padded_to({INT64_MAX / 2}, 1))),
            "INVALID_ARGUMENT");
  EXPECT_EQ(text_of(take(range(INT64_MIN, INT64_MAX, INT64_MAX), 9)),
            "-9223372036854775808|-1|9223372036854775806");
  EXPECT_EQ(text_of(window(range(0, 3), INT64_MAX, 1, INT64_MAX)), "[0]|[1]|[2]");
  EXPECT_EQ(*(*shard(range(0, 10), INT64_MAX, 2)->get()->iterate(0))->skip(INT64_MAX), 1);
}

TEST(Transforms, RowsOfDifferentComponentsAreRefused) {
  const DatasetPtr mixed = map(range(0, 2), [](Element element) -> StatusOr<Element> {
    if (value_of(element) == 1) element.push_back(element[0]);
    return element;
  });
  EXPECT_EQ(text_of(batch(mixed, 2)), "INVALID_ARGUMENT");
  EXPECT_EQ(text_of(padded_batch(mixed, 2)), "INVALID_ARGUMENT");
  EXPECT_EQ(text_of(window(mixed, 2)), "INVALID_ARGUMENT");
  EXPECT_EQ(text_of(windows(mixed, 2)), "INVALID_ARGUMENT");
  EXPECT_EQ(text_of(unbatch(range(0, 2))), "INVALID_ARGUMENT");
  const Element uneven = {Tensor::vector<int64_t>({1, 2}), Tensor::vector<int64_t>({1})};
  EXPECT_EQ(text_of(unbatch(single(uneven))), "INVALID_ARGUMENT");
  EXPECT_EQ(dataset_in(Tensor::scalar<int64_t>(1)).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(Transforms, MapKeepsTheOrderForAnyNumberOfThreads) {
  // Elements take very different times.
  const auto work = [](Element element) -> StatusOr<Element> {
    for (int64_t i = 0; i < (value_of(element) * 37) % 11; ++i) std::this_thread::yield();
    return squared(std::move(element));
  };
  const std::string expected = text_of(map(range(0, 200), work));
  for (int threads : {0, 2, 3, 32}) {
    EXPECT_EQ(text_of(map(range(0, 200), work, threads)), expected) << threads;
    EXPECT_EQ(text_of(map(
                  map(range(0, 200), work, threads), [](Element e) { return e; }, 2)),
              expected);
  }
}

TEST(Transforms, ErrorsOfFunctionsAndOfSourcesComeAtTheirPlace) {
  const auto fails_at_3 = [](Element element) -> StatusOr<Element> {
    if (value_of(element) == 3) return aborted("three");
    return element;
  };
  const DatasetPtr broken = from_generator([](uint64_t) -> StatusOr<Generator> {
    return [at = int64_t{0}](Element& element) mutable -> StatusOr<bool> {
      if (at == 2) return data_loss("gone");
      element.assign(1, Tensor::scalar<int64_t>(at++));
      return true;
    };
  });
  for (int threads : {1, 2, 8}) {
    EXPECT_EQ(text_of(map(range(0, 9), fails_at_3, threads)), "0|1|2|ABORTED");
    EXPECT_EQ(text_of(prefetch(map(range(0, 9), fails_at_3, threads), 2)), "0|1|2|ABORTED");
    EXPECT_EQ(text_of(map(broken, fails_at_3, threads)), "0|1|DATA_LOSS");
  }
  EXPECT_EQ(text_of(filter(broken, [](const Element&) -> StatusOr<bool> { return true; })),
            "0|1|DATA_LOSS");
  EXPECT_EQ(
      text_of(filter(range(0, 2), [](const Element&) -> StatusOr<bool> { return aborted("no"); })),
      "ABORTED");
  EXPECT_EQ(text_of(flat_map(range(0, 2),
                             [](const Element&) -> StatusOr<DatasetPtr> { return aborted("no"); })),
            "ABORTED");
  EXPECT_EQ(text_of(flat_map(range(0, 2),
                             [&](const Element&) -> StatusOr<DatasetPtr> { return broken; })),
            "0|1|DATA_LOSS");
  EXPECT_EQ(text_of(concatenate(range(0, 1), broken)), "0|0|1|DATA_LOSS");
  EXPECT_EQ(text_of(*zip({range(0, 9), broken})), "0 0|1 1|DATA_LOSS");
  EXPECT_EQ(text_of(skip(broken, 3)), "DATA_LOSS");
}

TEST(Transforms, OutOfMemoryOnAStepsThreadIsAStatus) {
  const auto throws = [](Element) -> StatusOr<Element> { throw std::bad_alloc(); };
  EXPECT_EQ(text_of(map(range(0, 9), throws, 3)), "RESOURCE_EXHAUSTED");
  EXPECT_EQ(text_of(prefetch(map(range(0, 9), throws), 2)), "RESOURCE_EXHAUSTED");
}

TEST(Transforms, IteratorsThatAreLeftEndTheirThreads) {
  for (int taken : {0, 1, 5}) {
    auto iterator = *prefetch(map(repeat(range(0, 9)), squared, 4), 3)->iterate(0);
    Element element;
    for (int i = 0; i < taken; ++i) ASSERT_TRUE(*iterator->next(element));
  }
}

TEST(Transforms, RepeatedPassesAreShuffledAnew) {
  const DatasetPtr rows = *from_tensors({Tensor::vector<int64_t>({0, 1, 2, 3, 4, 5, 6, 7})});
  for (const DatasetPtr& source : {rows, map(rows, [](Element e) { return e; })}) {
    for (int64_t buffer : {3, 8}) {
      const DatasetPtr shuffled = shuffle(source, buffer, 5),
                       fixed = shuffle(source, buffer, 5, false);
      const std::string first = text_of(shuffled, 0), second = text_of(shuffled, 1);
      EXPECT_NE(first, second);
      EXPECT_EQ(text_of(repeat(shuffled, 2)), cat(first, "|", second));
      EXPECT_EQ(text_of(fixed, 1), text_of(fixed, 0));
      EXPECT_EQ(text_of(repeat(cache(shuffled), 2)), cat(first, "|", first));
    }
  }
}

// Each batch holds its objects itself: they outlive the tensor that they came from.
TEST(Transforms, ShuffledBatchesKeepTheirObjects) {
  constexpr int kRows = 5;
  Tensor variants(DType::kVariant, Shape{kRows});
  for (int64_t i = 0; i < kRows; ++i) {
    variants.mutable_data<Ref<Object>>()[i] = *dataset_tensor(range(i, i + 1)).data<Ref<Object>>();
  }
  std::vector<Element> batches;
  {
    const DatasetPtr rows = *from_tensors({std::move(variants)});
    const auto iterator = *batch(shuffle(rows, kRows, 3), 2)->iterate(0);
    for (Element element; *iterator->next(element);) batches.push_back(std::move(element));
  }
  std::set<std::string> texts;
  for (const Element& element : batches) {
    for (int64_t i = 0; i < element[0].dim(0); ++i) {
      texts.insert(text_of(*dataset_in(element[0].slice(i, 1).reshaped(Shape())), 0));
    }
  }
  EXPECT_EQ(texts.size(), static_cast<size_t>(kRows));
}

// The pipeline of a training, as far as order goes.
DatasetPtr pipeline(int threads, int depth) {
  const DatasetPtr source = map(range(0, 50), squared, threads);
  return prefetch(batch(shuffle(map(
                                    source, [](Element e) { return e; }, threads),
                                7, 3),
                        4),
                  depth);
}

TEST(Positions, AReaderGoesOnWhereAnotherStood) {
  Reader whole(pipeline(1, 1));
  Element element;
  std::vector<std::pair<std::string, std::string>> seen;  // position, element
  for (int i = 0; i < 30; ++i) {
    const std::string position = to_string(whole.position());
    const bool more = *whole.next(element);
    seen.emplace_back(position, more ? text_of_element(element) : "end");
  }
  EXPECT_EQ(seen[13].second, "end");
  EXPECT_EQ(seen[14].first, "1:0");
  for (size_t from = 0; from < seen.size(); from += 3) {
    for (int threads : {1, 3}) {
      Reader resumed(pipeline(threads, threads));
      ASSERT_TRUE(resumed.restore(*parse_position(seen[from].first)).ok());
      for (size_t i = from; i < seen.size(); ++i) {
        EXPECT_EQ(to_string(resumed.position()), seen[i].first);
        const bool more = *resumed.next(element);
        EXPECT_EQ(more ? text_of_element(element) : "end", seen[i].second);
      }
    }
  }
}

TEST(Positions, OfOtherDataAreErrors) {
  Reader reader(batch(range(0, 10), 4));
  EXPECT_EQ(reader.restore({2, 4}).code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(reader.position(), Position{});
  EXPECT_TRUE(reader.restore({2, 3}).ok());
  Element element;
  EXPECT_FALSE(*reader.next(element));
  for (const char* text :
       {"", "1", "1:", ":1", "1:-1", "-1:1", "1:2:3", "a:1", "1:99999999999999999999"}) {
    EXPECT_EQ(parse_position(text).status().code(), absl::StatusCode::kDataLoss) << text;
  }
  EXPECT_EQ(*(*repeat(range(0, 3))->iterate(0))->skip(INT64_MAX), INT64_MAX);
}

TEST(CacheFile, ServesWhatTheFirstPassGaveAndOutlivesIt) {
  const auto folder = *TemporaryDirectory::create();
  const std::string path = join_path(folder.path(), "cache");
  int passes = 0;
  const auto counted_source = [&] {
    return from_generator([&](uint64_t) -> StatusOr<Generator> {
      ++passes;
      return [at = int64_t{0}](Element& element) mutable -> StatusOr<bool> {
        element = {Tensor::scalar(at), Tensor::string(cat("t", at)),
                   Tensor::vector<float>({0.5f, -1})};
        return at++ < 3;
      };
    });
  };
  const std::string expected = "0 t0 [0.5,-1]|1 t1 [0.5,-1]|2 t2 [0.5,-1]";
  {
    // A pass that is not gone through leaves nothing.
    auto iterator = *cache(counted_source(), path)->iterate(0);
    Element element;
    EXPECT_TRUE(*iterator->next(element));
  }
  EXPECT_FALSE(path_exists(path));
  EXPECT_EQ(text_of(repeat(cache(counted_source(), path), 2)), cat(expected, "|", expected));
  EXPECT_EQ(text_of(cache(counted_source(), path)), expected);
  EXPECT_EQ(passes, 2);
  EXPECT_EQ(text_of(skip(cache(counted_source(), path), 2)), "2 t2 [0.5,-1]");
}

TEST(CacheFile, DamageIsNamedWithItsPlace) {
  const auto folder = *TemporaryDirectory::create();
  const std::string path = join_path(folder.path(), "cache");
  const DatasetPtr cached = cache(range(0, 3), path);
  text_of(cached);
  const std::string whole = *read_file(path);
  const size_t record = whole.size() / 4;
  std::string changed = whole;
  changed[record + 14] ^= 1;
  for (const std::string& bytes : {changed, whole.substr(0, whole.size() - 20), whole.substr(0, 5),
                                   std::string("a file of something else")}) {
    ASSERT_TRUE(write_file(path, bytes).ok());
    auto iterator = *cached->iterate(0);
    Element element;
    StatusOr<bool> more = true;
    while (more.ok() && *more) more = iterator->next(element);
    EXPECT_EQ(more.status().code(), absl::StatusCode::kDataLoss);
    EXPECT_NE(message_of(more.status()).find(path), std::string_view::npos) << more.status();
    EXPECT_NE(message_of(more.status()).find("byte "), std::string_view::npos) << more.status();
  }
}

}  // namespace
}  // namespace tenon::data
