// Every op that we declare is TensorFlow's: reference/tf_ops.pbtxt holds all OpDefs of
// TensorFlow 2.21.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <set>

#include "tenon/base/files.h"
#include "tenon/core/op.h"
#include "tenon/graph/messages/attr_message.h"
#include "tenon/saved_model/register_ops_test.h"
#include "tensorflow/core/framework/op_def.pb.h"

namespace tenon {
namespace {

using TheirOps = std::map<std::string, tensorflow::OpDef>;

const TheirOps& tensorflow_ops() {
  static const TheirOps ops = [] {
    const auto text = read_file(TENON_SOURCE_DIR "/../shared/reference/tf_ops.pbtxt");
    tensorflow::OpList list;
    google::protobuf::TextFormat::Parser parser;
    parser.AllowUnknownField(true);
    EXPECT_TRUE(text.ok() && parser.ParseFromString(*text, &list));
    TheirOps by_name;
    for (const auto& op : list.op()) by_name[op.name()] = op;
    return by_name;
  }();
  return ops;
}

// "axes: Tidx", "values: N * T", "ref: Ref(T)", "x: float".
std::string text_of(const ArgDef& arg) {
  const std::string type = cat(arg.type_attr, arg.type_list_attr,
                               arg.dtype == DType::kInvalid ? "" : to_string(arg.dtype));
  return cat(arg.name, ": ", arg.number_attr, arg.number_attr.empty() ? "" : " * ",
             arg.is_ref ? cat("Ref(", type, ")") : type);
}

std::string text_of(const tensorflow::OpDef::ArgDef& proto) {
  ArgDef arg{.name = proto.name(),
             .type_attr = proto.type_attr(),
             .number_attr = proto.number_attr(),
             .type_list_attr = proto.type_list_attr(),
             .is_ref = proto.is_ref()};
  if (proto.type() != 0) arg.dtype = dtype_from_enum(proto.type()).value_or(DType::kInvalid);
  return text_of(arg);
}

template <class Args>
std::string texts_of(const Args& args) {
  std::vector<std::string> texts;
  for (const auto& arg : args) texts.push_back(text_of(arg));
  return join(texts, ", ");
}

constexpr const char* kKindNames[] = {"int",  "float", "bool",   "string",
                                      "type", "shape", "tensor", "func"};

std::string kind_of_ours(const AttrDef& attr) {
  const std::string kind = kKindNames[static_cast<size_t>(attr.kind)];
  return attr.is_list ? cat("list(", kind, ")") : kind;
}

std::string default_of(const tensorflow::OpDef::AttrDef& attr) {
  if (!attr.has_default_value()) return "none";
  const auto value = parse_attr(attr.default_value().SerializeAsString());
  return value.ok() ? to_string(*value) : std::string(message_of(value.status()));
}

void expect_same_attr(const std::string& where, const AttrDef& ours,
                      const tensorflow::OpDef::AttrDef& theirs) {
  EXPECT_EQ(kind_of_ours(ours), theirs.type()) << where;
  EXPECT_EQ(ours.default_value ? to_string(*ours.default_value) : "none", default_of(theirs))
      << where;
  EXPECT_EQ(ours.minimum.has_value(), theirs.has_minimum()) << where;
  EXPECT_EQ(ours.minimum.value_or(0), theirs.minimum()) << where;
  const auto& list = theirs.allowed_values().list();
  if (list.type_size() > 0) {
    EXPECT_FALSE(ours.allowed_types.empty()) << where << " takes any type, theirs does not";
    const std::set<int> allowed(list.type().begin(), list.type().end());
    for (DType dtype : ours.allowed_types) {
      EXPECT_TRUE(allowed.contains(static_cast<int>(dtype)))
          << where << " takes " << to_string(dtype);
    }
  }
  if (list.s_size() > 0) {
    EXPECT_FALSE(ours.allowed_strings.empty()) << where << " takes any text, theirs does not";
    const std::set<std::string> allowed(list.s().begin(), list.s().end());
    for (const std::string& text : ours.allowed_strings) {
      EXPECT_TRUE(allowed.contains(text)) << where << " takes '" << text << "'";
    }
  }
}

bool touches_resources(const OpDef& op) {
  const auto is_resource = [](const ArgDef& arg) { return arg.dtype == DType::kResource; };
  return std::any_of(op.inputs().begin(), op.inputs().end(), is_resource) ||
         std::any_of(op.outputs().begin(), op.outputs().end(), is_resource);
}

class OpDeclarations : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(register_test_ops().ok());
    ASSERT_GT(tensorflow_ops().size(), 1000u);
  }
  // Calls `check` with each op of ours and theirs; ops whose name starts with '_' are Tenon's own,
  // those of XLA stand in a registry that is loaded with it.
  template <class Check>
  void for_each_op(Check check) {
    EXPECT_GT(OpRegistry::global().all().size(), 200u);
    for (const OpDef* ours : OpRegistry::global().all()) {
      if (ours->name().starts_with('_') || ours->name().starts_with("Xla")) continue;
      const auto theirs = tensorflow_ops().find(ours->name());
      if (theirs == tensorflow_ops().end()) {
        ADD_FAILURE() << ours->name() << " is no op of TensorFlow";
        continue;
      }
      check(*ours, theirs->second);
    }
  }
};

TEST_F(OpDeclarations, InputsAndOutputsAreTensorFlows) {
  for_each_op([](const OpDef& ours, const tensorflow::OpDef& theirs) {
    EXPECT_EQ(texts_of(ours.inputs()), texts_of(theirs.input_arg())) << ours.name();
    EXPECT_EQ(texts_of(ours.outputs()), texts_of(theirs.output_arg())) << ours.name();
  });
}

TEST_F(OpDeclarations, AttributesAreTensorFlowsOrTakeFewerTypes) {
  for_each_op([](const OpDef& ours, const tensorflow::OpDef& theirs) {
    for (const auto& attr : theirs.attr()) {
      const std::string where = cat(ours.name(), ".", attr.name());
      const AttrDef* found = ours.find_attr(attr.name());
      if (!found) {
        ADD_FAILURE() << where << " is not declared";
      } else {
        expect_same_attr(where, *found, attr);
      }
    }
    EXPECT_EQ(ours.attrs().size(), static_cast<size_t>(theirs.attr_size())) << ours.name();
  });
}

// TensorFlow marks these so that its own optimisers neither fold nor move them; their value is one.
constexpr std::string_view kStatefulInTensorFlowOnly[] = {
    "GuaranteeConst",  "CudnnRNN",        "CudnnRNNV2", "CudnnRNNV3",  "StatelessRandomGetAlg",
    "DebugIdentityV2", "DebugIdentityV3", "DeepCopy",   "DeviceIndex", "Empty"};
// A file may change between two runs, and without seeds so do random numbers.
constexpr std::string_view kEffectHereOnly[] = {
    "ReadFile", "FractionalAvgPool", "FractionalMaxPool", "ExtractGlimpse", "ExtractGlimpseV2"};

// An op whose effect TensorFlow does not know of would be pruned or merged there; one whose effect
// we do not know of, here.
TEST_F(OpDeclarations, EffectsAreTensorFlowsStatefulFlag) {
  for_each_op([](const OpDef& ours, const tensorflow::OpDef& theirs) {
    const bool effect = ours.decl().effect != Effect::kNone || touches_resources(ours);
    const auto holds = [&](const auto& names) {
      return std::find(std::begin(names), std::end(names), ours.name()) != std::end(names);
    };
    EXPECT_EQ(effect || holds(kStatefulInTensorFlowOnly),
              theirs.is_stateful() || holds(kEffectHereOnly))
        << ours.name();
  });
}

}  // namespace
}  // namespace tenon
