#include "tenon/core/op.h"

#include "tenon/core/shape_context.h"

namespace tenon {
namespace {

StatusOr<Kernel> no_kernel(Prepare&) { return unimplemented("test"); }

TENON_OP(TestSplit) = {
    .inputs = "split_dim: int32, values: N * T, others: Tlist",
    .outputs = "output: num * T, last: string",
    .attrs =
        "T: {floating, int32} = float; N: int >= 1; num: int >= 1 = 2; Tlist: list(type) >= 0 "
        "= [int32, string]; mode: {'SAME', 'VALID'} = 'SAME'; shape: shape = unknown",
    .host_inputs = {0},
    .shape = unknown_shape,
    .gradient = not_differentiable,
    .kernels = {no_kernel},
};

TEST(OpDef, ParsesArgumentsAndDefaults) {
  const auto parsed = OpDef::parse("TestSplit", tenon_op_TestSplit);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const OpDef& op = **parsed;
  AttrMap attrs{{"N", int64_t{2}}, {"T", DType::kDouble}};
  ASSERT_TRUE(op.complete_attrs(attrs).ok());
  EXPECT_EQ(op.input_dtypes(attrs),
            (std::vector<DType>{DType::kInt32, DType::kDouble, DType::kDouble, DType::kInt32,
                                DType::kString}));
  const auto range = op.output_range("last", attrs);
  ASSERT_TRUE(range.has_value());
  EXPECT_EQ(range->begin, 2);
  EXPECT_EQ(range->count, 1);
  EXPECT_EQ(attrs.get<std::string>("mode"), "SAME");
}

TEST(OpDef, RefusesWhatTheDeclarationForbids) {
  const auto parsed = OpDef::parse("TestSplit", tenon_op_TestSplit);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const OpDef& op = **parsed;
  AttrMap missing;
  EXPECT_EQ(op.complete_attrs(missing).code(), absl::StatusCode::kInvalidArgument);
  AttrMap zero{{"N", int64_t{0}}};
  EXPECT_FALSE(op.complete_attrs(zero).ok());
  AttrMap type{{"N", int64_t{1}}, {"T", DType::kString}};
  EXPECT_FALSE(op.complete_attrs(type).ok());
  AttrMap kind{{"N", 1.0f}};
  EXPECT_FALSE(op.complete_attrs(kind).ok());
  AttrMap huge{{"N", int64_t{1} << 40}};
  EXPECT_FALSE(op.complete_attrs(huge).ok());
}

// Texts of plug-ins are not seen by the compiler.
TEST(OpDef, RefusesTextsThatDoNotParse) {
  const auto code = [](std::string_view inputs, std::string_view attrs) {
    OpDecl decl = tenon_op_TestSplit;
    decl.inputs = ArgsText(inputs);
    decl.outputs = "";
    decl.attrs = AttrsText(attrs);
    return OpDef::parse("Bad", decl).status().code();
  };
  EXPECT_EQ(code("x: T", "T: {float, int32}"), absl::StatusCode::kOk);
  for (const auto& [inputs, attrs] : std::initializer_list<std::array<std::string_view, 2>>{
           {"x: T", ""},
           {"x: N * T", "T: type"},
           {"x: N * T", "T: type; N: string"},
           {"x: Ref(", ""},
           {"x", ""},
           {"x: float", "T: {float, nothing}"},
           {"x: float", "n: int = two"},
           {"x: float", "n:= 2"},
           {"x: float", "n: list(int) = ["},
           {"x: float", "s: string = '"},
       }) {
    EXPECT_EQ(code(inputs, attrs), absl::StatusCode::kInvalidArgument) << inputs << " " << attrs;
  }
}

// Values of tf.nn.conv2d's documentation: SAME gives ceil(in / stride), VALID ceil((in - f + 1) /
// s).
TEST(WindowOutput, FollowsTensorFlowsPaddingRule) {
  const auto same = window_output(13, 6, 1, 5, "SAME");
  ASSERT_TRUE(same.ok());
  EXPECT_EQ(same->output, 3);
  EXPECT_EQ(same->before, 1);
  EXPECT_EQ(same->after, 2);
  EXPECT_EQ(window_output(13, 6, 1, 5, "VALID")->output, 2);
  EXPECT_FALSE(window_output(3, 2, 1, 0, "VALID").ok());
}

TEST(BroadcastShapes, FollowsNumPy) {
  EXPECT_EQ(*broadcast_shapes(Shape{2, 1, 3}, Shape{4, 1}), (Shape{2, 4, 3}));
  EXPECT_FALSE(broadcast_shapes(Shape{2}, Shape{3}).ok());
  EXPECT_EQ(*broadcast_shapes(PartialShape{-1, 3}, PartialShape{1}), (PartialShape{-1, 3}));
}

}  // namespace
}  // namespace tenon
