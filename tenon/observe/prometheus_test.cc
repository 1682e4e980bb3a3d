// Vectors: tensorflow_serving/util/prometheus_exporter_test.cc and the limits printed by TensorFlow
// Serving's /monitoring/prometheus/metrics.
#include "tenon/observe/prometheus.h"

#include <gtest/gtest.h>

#include <thread>

#include "tenon/base/strings.h"

namespace tenon {
namespace {

std::string printed_limits(const BucketLimits& limits) { return join(limits, " "); }

TEST(PrometheusTest, CounterWithAndWithoutLabels) {
  MetricRegistry registry;
  registry.counter("/test/path/total").cell({}).add();
  registry.counter("/test/with_labels", {"label1", "label2"}).cell({"v1", "v\\2\""}).add(3);
  EXPECT_EQ(prometheus_text(registry),
            "# TYPE :test:path:total counter\n"
            ":test:path:total{} 1\n"
            "# TYPE :test:with_labels counter\n"
            ":test:with_labels{label1=\"v1\",label2=\"v\\\\2\\\"\"} 3\n");
}

// One name that is no UTF-8, or breaks the line, would make Prometheus drop the whole page.
TEST(PrometheusTest, LabelsCannotSpoilThePage) {
  MetricRegistry registry;
  registry.counter("/c", {"l"}).cell({"a\xff\nb\tc"}).add();
  EXPECT_EQ(prometheus_text(registry),
            "# TYPE :c counter\n"
            ":c{l=\"a\xEF\xBF\xBD\\nb c\"} 1\n");
}

TEST(PrometheusTest, GaugeAndMetricWithoutPoints) {
  MetricRegistry registry;
  registry.gauge("/test/gauge", {"a-b"}).cell({"x"}).set(-7);
  registry.counter("/test/none");
  EXPECT_EQ(prometheus_text(registry),
            "# TYPE :test:gauge gauge\n"
            ":test:gauge{a_b=\"x\"} -7\n"
            "# TYPE :test:none counter\n");
}

// What comes and goes, such as versions of a model, neither stays on the page nor grows it for
// ever.
TEST(PrometheusTest, PassingCellsAreShownWhileTheyAreHeld) {
  MetricRegistry registry;
  auto& family = registry.counter("/c", {"version"});
  family.cell({"0"}).add();
  auto first = family.passing_cell({"1"});
  first->add(2);
  EXPECT_EQ(family.passing_cell({"1"}), first);
  const std::string before = "# TYPE :c counter\n:c{version=\"0\"} 1\n";
  EXPECT_EQ(prometheus_text(registry), before + ":c{version=\"1\"} 2\n");
  first.reset();
  EXPECT_EQ(prometheus_text(registry), before);
  EXPECT_EQ(family.passing_cell({"1"})->value(), 0);
  using Family = MetricFamily<Counter>;
  std::vector<std::shared_ptr<Counter>> many;
  for (size_t i = 0; i < 2 * Family::kMaxCells; ++i) {
    many.push_back(family.passing_cell({cat("v", i)}));
    many.back()->add();
  }
  size_t shown = 0;
  int64_t sum = 0;
  family.for_each([&](const auto&, const Counter& cell) {
    ++shown;
    sum += cell.value();
  });
  EXPECT_LE(shown, Family::kMaxCells + 2);
  EXPECT_EQ(sum, static_cast<int64_t>(2 * Family::kMaxCells + 1));
}

TEST(PrometheusTest, GaugesOfWhatIsCountedElsewhereAreReadWhenThePageIs) {
  MetricRegistry registry;
  int64_t elsewhere = 7;
  auto shown =
      registry.before_reading([&] { registry.gauge("/g", {"l"}).cell({"x"}).set(elsewhere); });
  EXPECT_EQ(prometheus_text(registry), "# TYPE :g gauge\n:g{l=\"x\"} 7\n");
  elsewhere = 8;
  EXPECT_EQ(prometheus_text(registry), "# TYPE :g gauge\n:g{l=\"x\"} 8\n");
  shown.reset();
  elsewhere = 9;
  EXPECT_EQ(prometheus_text(registry), "# TYPE :g gauge\n:g{l=\"x\"} 8\n");
}

TEST(PrometheusTest, ValueEqualToALimitCountsInTheNextBucket) {
  MetricRegistry registry;
  auto& cell = registry.histogram("/my/hist", {}, exponential_limits(1, 2, 10)).cell({});
  for (const double value : {2.0, 20.0, 200.0}) cell.observe(value);
  EXPECT_EQ(prometheus_text(registry),
            "# TYPE :my:hist histogram\n"
            ":my:hist_bucket{le=\"1\"} 0\n"
            ":my:hist_bucket{le=\"2\"} 0\n"
            ":my:hist_bucket{le=\"4\"} 1\n"
            ":my:hist_bucket{le=\"8\"} 1\n"
            ":my:hist_bucket{le=\"16\"} 1\n"
            ":my:hist_bucket{le=\"32\"} 2\n"
            ":my:hist_bucket{le=\"64\"} 2\n"
            ":my:hist_bucket{le=\"128\"} 2\n"
            ":my:hist_bucket{le=\"256\"} 3\n"
            ":my:hist_bucket{le=\"512\"} 3\n"
            ":my:hist_bucket{le=\"+Inf\"} 3\n"
            ":my:hist_sum{} 222\n"
            ":my:hist_count{} 3\n");
}

TEST(PrometheusTest, LabelsStandBeforeLe) {
  MetricRegistry registry;
  registry.histogram("/h", {"model_name"}, {1}).cell({"m"}).observe(0.5);
  EXPECT_EQ(prometheus_text(registry),
            "# TYPE :h histogram\n"
            ":h_bucket{model_name=\"m\",le=\"1\"} 1\n"
            ":h_bucket{model_name=\"m\",le=\"+Inf\"} 1\n"
            ":h_sum{model_name=\"m\"} 0.5\n"
            ":h_count{model_name=\"m\"} 1\n");
}

TEST(PrometheusTest, NamesKeepOnlyWhatPrometheusAllows) {
  EXPECT_EQ(prometheus_name("/tensorflow/serving/request_count"),
            ":tensorflow:serving:request_count");
  EXPECT_EQ(prometheus_name("0a.b-c"), "_0a:b:c");
}

TEST(PrometheusTest, LatencyLimitsPrintAsTensorFlowServingPrintsThem) {
  EXPECT_EQ(printed_limits(exponential_limits(10, 1.8, 33)),
            "10 18 32.4 58.32 104.976 188.957 340.122 612.22 1102 1983.59 3570.47 6426.84 11568.3 "
            "20823 37481.3 67466.4 121440 218591 393464 708235 1.27482e+06 2.29468e+06 4.13043e+06 "
            "7.43477e+06 1.33826e+07 2.40887e+07 4.33596e+07 7.80473e+07 1.40485e+08 2.52873e+08 "
            "4.55172e+08 8.19309e+08 1.47476e+09");
  EXPECT_EQ(printed_limits(exponential_limits(100, 1.2, 52)),
            "100 120 144 172.8 207.36 248.832 298.598 358.318 429.982 515.978 619.174 743.008 "
            "891.61 1069.93 1283.92 1540.7 1848.84 2218.61 2662.33 3194.8 3833.76 4600.51 5520.61 "
            "6624.74 7949.68 9539.62 11447.5 13737.1 16484.5 19781.4 23737.6 28485.2 34182.2 "
            "41018.6 49222.4 59066.8 70880.2 85056.2 102067 122481 146977 176373 211647 253977 "
            "304772 365726 438871 526646 631975 758370 910044 1.09205e+06");
  EXPECT_EQ(printed_limits(exponential_limits(1, 2, 15)),
            "1 2 4 8 16 32 64 128 256 512 1024 2048 4096 8192 16384");
}

TEST(MetricsTest, CellsOfOneNameAreOneCell) {
  MetricRegistry registry;
  Counter& a = registry.counter("/c", {"l"}).cell({"x"});
  Counter& b = registry.counter("/c", {"l"}).cell({"x"});
  EXPECT_EQ(&a, &b);
}

TEST(MetricsTest, MadeUpLabelValuesDoNotGrowWithoutBound) {
  MetricRegistry registry;
  auto& family = registry.counter("/c", {"model_name"});
  for (size_t i = 0; i < family.kMaxCells + 500; ++i) family.cell({cat("m", i)}).add();
  size_t cells = 0;
  int64_t total = 0;
  family.for_each([&](const std::vector<std::string>&, const Counter& cell) {
    ++cells;
    total += cell.value();
  });
  EXPECT_LE(cells, family.kMaxCells + 1);
  EXPECT_EQ(total, static_cast<int64_t>(family.kMaxCells + 500));
}

TEST(MetricsTest, NoUpdateOfManyThreadsIsLost) {
  MetricRegistry registry;
  Counter& counter = registry.counter("/c").cell({});
  Histogram& histogram = registry.histogram("/h", {}, {1, 2}).cell({});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10000; ++n) {
        counter.add();
        histogram.observe(1);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 40000);
  EXPECT_EQ(histogram.counts(), (std::vector<int64_t>{0, 40000, 0}));
  EXPECT_EQ(histogram.sum(), 40000);
}

}  // namespace
}  // namespace tenon
