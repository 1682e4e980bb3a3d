// Outside truth: the rules of DESIGN section 3: the verifier runs after every pass in debug builds.
#include <gtest/gtest.h>

#include "tenon/core/shape_context.h"
#include "tenon/passes/pass.h"

namespace tenon {

StatusOr<Kernel> make_nothing(Prepare&) { return Kernel(); }

TENON_OP(PassTestSource) = {
    .inputs = "",
    .outputs = "y: float",
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_nothing},
};
TENON_OP(PassTestSink) = {
    .inputs = "x: float",
    .outputs = "y: float",
    .shape = scalar_shape,
    .gradient = not_differentiable,
    .kernels = {make_nothing},
};

namespace {

Status keep(Graph&, const PassContext&) { return absl::OkStatus(); }

// What a pass with a bug does: it removes a node whose value is still read.
Status remove_what_is_read(Graph& graph, const PassContext&) {
  graph.remove(0);
  return absl::OkStatus();
}

constexpr NamedPass kPasses[] = {
    {"keep", keep}, {"remove_what_is_read", remove_what_is_read}, {"keep_again", keep}};

class RunPassesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ASSERT_TRUE(OpRegistry::global().add("PassTestSource", tenon_op_PassTestSource).ok());
    ASSERT_TRUE(OpRegistry::global().add("PassTestSink", tenon_op_PassTestSink).ok());
  }
  void SetUp() override {
    const auto source = graph_.add("PassTestSource", "source", {});
    ASSERT_TRUE(source.ok()) << source.status();
    const auto sink = graph_.add("PassTestSink", "sink", {{*source, 0}});
    ASSERT_TRUE(sink.ok()) << sink.status();
    graph_.results = {{*sink, 0}};
  }
  Graph graph_;
};

TEST_F(RunPassesTest, ThePassThatBreaksTheGraphIsNamed) {
  const Status status = run_passes(kPasses, graph_, {}, true);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  const std::string_view message = message_of(status);
  EXPECT_NE(message.find("pass remove_what_is_read "), std::string_view::npos) << message;
  EXPECT_NE(message.find("node 'sink'"), std::string_view::npos) << message;
}

TEST_F(RunPassesTest, EveryBuildButReleaseVerifiesUnasked) {
  const Status status = run_passes(kPasses, graph_, {});
#ifdef NDEBUG
  EXPECT_TRUE(status.ok()) << status;
#else
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
#endif
}

TEST_F(RunPassesTest, PassesThatKeepTheGraphLegalPass) {
  EXPECT_TRUE(run_passes(std::span(kPasses).first(1), graph_, {}, true).ok());
  EXPECT_TRUE(run_passes(graph_, {}, true).ok());
}

}  // namespace
}  // namespace tenon
