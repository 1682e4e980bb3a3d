// What TensorFlow 2.21's eager queues answer, step by step.
#include "tenon/graph/builder.h"
#include "tenon/ops/register_all.h"
#include "tenon/runtime/executable.h"

namespace tenon {
namespace {

class Queue : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!OpRegistry::global().find("While")) {
      ASSERT_TRUE(register_all_ops(OpRegistry::global()).ok());
    }
  }

  // One run of one op on the queue.
  StatusOr<std::vector<Tensor>> run(std::string_view op, const std::vector<Tensor>& inputs = {},
                                    AttrMap attrs = {}) {
    Graph graph;
    GraphBuilder b(graph);
    std::vector<Endpoint> endpoints{b.op(queue_op, {}, queue_attrs)};
    for (const Tensor& input : inputs) endpoints.push_back(b.constant(input));
    const NodeId node = b.node(op, endpoints, std::move(attrs));
    TENON_RETURN_IF_ERROR(b.status());
    for (size_t i = 0; i < graph.node(node).outputs.size(); ++i) {
      graph.results.push_back({node, static_cast<int>(i)});
      graph.result_names.push_back(cat("y", i));
    }
    if (graph.results.empty()) graph.control_results.push_back(node);
    TENON_ASSIGN_OR_RETURN(const auto executable, Executable::create(std::move(graph), state));
    std::vector<Tensor> results;
    TENON_RETURN_IF_ERROR(executable->run({}, results));
    return results;
  }

  absl::StatusCode enqueue(float value, const std::string& text) {
    return run("QueueEnqueueV2", {Tensor::scalar<float>(value), Tensor::string(text)}, given)
        .status()
        .code();
  }
  int64_t size() { return integer_at((*run("QueueSizeV2"))[0], 0); }

  const std::vector<DType> types{DType::kFloat, DType::kString};
  const AttrMap given{{"Tcomponents", types}}, taken{{"component_types", types}};
  std::string queue_op = "FIFOQueueV2";
  AttrMap queue_attrs{{"component_types", types},
                      {"shapes", std::vector<PartialShape>{Shape(), Shape()}},
                      {"capacity", int64_t{3}},
                      {"shared_name", std::string("q")}};
  const std::shared_ptr<ModelState> state = std::make_shared<ModelState>();
};

TEST_F(Queue, GivesElementsInTheirOrder) {
  EXPECT_EQ(enqueue(1, "a"), absl::StatusCode::kOk);
  EXPECT_EQ(enqueue(2, "b"), absl::StatusCode::kOk);
  EXPECT_EQ(size(), 2);
  const auto first = run("QueueDequeueV2", {}, taken);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(*(*first)[0].data<float>(), 1);
  EXPECT_EQ(*(*first)[1].data<std::string_view>(), "a");
  EXPECT_EQ(size(), 1);
}

TEST_F(Queue, GivesSeveralAtATimeAndWhatIsLeftWhenClosed) {
  const std::vector<std::string> texts{"a", "b", "c"};
  const Tensor numbers = Tensor::vector<float>({1, 2, 3});
  ASSERT_TRUE(run("QueueEnqueueManyV2", {numbers, Tensor::strings(Shape{3}, texts)}, given).ok());
  const auto two = run("QueueDequeueManyV2", {Tensor::scalar<int32_t>(2)}, taken);
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_EQ((*two)[0].data<float>()[1], 2);
  EXPECT_EQ((*two)[1].data<std::string_view>()[1], "b");
  ASSERT_TRUE(run("QueueCloseV2").ok());
  EXPECT_TRUE(*(*run("QueueIsClosedV2"))[0].data<bool>());
  EXPECT_EQ(enqueue(1, "a"), absl::StatusCode::kCancelled);
  EXPECT_EQ(run("QueueDequeueManyV2", {Tensor::scalar<int32_t>(2)}, taken).status().code(),
            absl::StatusCode::kOutOfRange);
  const auto left = run("QueueDequeueUpToV2", {Tensor::scalar<int32_t>(2)}, taken);
  ASSERT_TRUE(left.ok()) << left.status();
  EXPECT_EQ((*left)[0].shape(), Shape{1});
  EXPECT_EQ(run("QueueDequeueV2", {}, taken).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_F(Queue, RefusesWhatDoesNotFitAndWhatWouldWaitForEver) {
  const AttrMap one{{"Tcomponents", std::vector<DType>{DType::kFloat}}};
  EXPECT_EQ(run("QueueEnqueueV2", {Tensor::scalar<float>(1)}, one).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run("QueueEnqueueV2", {Tensor::vector<float>({1, 2}), Tensor::string("a")}, given)
                .status()
                .code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run("QueueDequeueV2", {}, taken).status().code(),
            absl::StatusCode::kFailedPrecondition);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(enqueue(1, "a"), absl::StatusCode::kOk);
  EXPECT_EQ(enqueue(1, "a"), absl::StatusCode::kFailedPrecondition);
}

TEST_F(Queue, OfPrioritiesGivesTheLeastFirst) {
  queue_op = "PriorityQueueV2";
  queue_attrs.set("component_types", std::vector<DType>{DType::kString});
  queue_attrs.set("shapes", std::vector<PartialShape>{Shape()});
  const std::vector<DType> both{DType::kInt64, DType::kString};
  for (const auto& [priority, text] : {std::pair{3, "c"}, {1, "a"}, {2, "b"}}) {
    ASSERT_TRUE(run("QueueEnqueueV2", {Tensor::scalar<int64_t>(priority), Tensor::string(text)},
                    {{"Tcomponents", both}})
                    .ok());
  }
  const auto found =
      run("QueueDequeueManyV2", {Tensor::scalar<int32_t>(3)}, {{"component_types", both}});
  ASSERT_TRUE(found.ok()) << found.status();
  const auto texts = (*found)[1].span<std::string_view>();
  EXPECT_EQ(std::vector<std::string>(texts.begin(), texts.end()),
            (std::vector<std::string>{"a", "b", "c"}));
}

}  // namespace
}  // namespace tenon
