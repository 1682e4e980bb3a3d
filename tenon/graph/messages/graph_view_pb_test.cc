// GraphDefs on the wire, beside protobuf's reading and writing of the same messages: of every model
// of shared/cases, and of damaged ones.
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "tenon/base/files.h"
#include "tenon/core/tensor_message.h"
#include "tenon/graph/messages/attr_message.h"
#include "tenon/graph/messages/graph_view.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon {
namespace {

using google::protobuf::util::MessageDifferencer;

std::vector<std::string> case_files() {
  std::vector<std::string> files;
  for (const char* folder : {"ops", "models"}) {
    const std::string cases = cat(TENON_SOURCE_DIR "/../shared/cases/", folder);
    for (const auto& entry : std::filesystem::directory_iterator(cases)) {
      const std::string file = entry.path() / "1/saved_model.pb";
      if (path_exists(file)) files.push_back(file);
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

tensorflow::GraphDef graph_of(const std::string& file) {
  tensorflow::SavedModel model;
  const auto bytes = read_file(file);
  EXPECT_TRUE(bytes.ok() && model.ParseFromString(*bytes)) << file;
  return model.meta_graphs(0).graph_def();
}

// Reference types are their values' types, and what nobody knows goes.
void spell_as_ours(google::protobuf::RepeatedField<int>& types) {
  for (int& type : types) type %= 100;
}

// Tensors have two spellings: they become ours, which tensor_message_pb_test.cc holds to
// protobuf's. Attributes that Tenon leaves out, of functions too, go.
void spell_as_ours(tensorflow::TensorProto& tensor) {
  const StatusOr<Tensor> parsed = parse_tensor(tensor.SerializeAsString());
  if (!parsed.ok()) return;
  std::string bytes;
  append_tensor(bytes, *parsed);
  tensor.ParseFromString(bytes);
}

void spell_as_ours(tensorflow::TensorShapeProto& shape) {
  if (shape.unknown_rank()) shape.clear_dim();
  for (auto& dim : *shape.mutable_dim()) dim.clear_name();
}

void spell_as_ours(tensorflow::AttrValue& value) {
  const auto function = [](tensorflow::NameAttrList& f) {
    for (auto it = f.mutable_attr()->begin(); it != f.mutable_attr()->end();) {
      if (it->first.starts_with('_')) {
        it = f.mutable_attr()->erase(it);
      } else {
        spell_as_ours(it->second);
        ++it;
      }
    }
  };
  value.DiscardUnknownFields();
  if (value.value_case() == tensorflow::AttrValue::kType) {
    value.set_type(static_cast<tensorflow::DataType>(value.type() % 100));
  }
  if (value.has_tensor()) spell_as_ours(*value.mutable_tensor());
  if (value.has_shape()) spell_as_ours(*value.mutable_shape());
  if (value.has_func()) function(*value.mutable_func());
  if (!value.has_list()) return;
  spell_as_ours(*value.mutable_list()->mutable_type());
  for (auto& shape : *value.mutable_list()->mutable_shape()) spell_as_ours(shape);
  for (auto& tensor : *value.mutable_list()->mutable_tensor()) spell_as_ours(tensor);
  for (auto& f : *value.mutable_list()->mutable_func()) function(f);
}

// What we read of an attribute, written again, is what protobuf reads of it.
void expect_same_attr(tensorflow::AttrValue theirs, const AttrValue& ours,
                      const std::string& where) {
  std::string bytes;
  append_attr(bytes, ours);
  tensorflow::AttrValue again;
  ASSERT_TRUE(again.ParseFromString(bytes)) << where;
  EXPECT_EQ(again.SerializeAsString().size(), bytes.size()) << where;
  spell_as_ours(theirs);
  EXPECT_TRUE(MessageDifferencer::Equals(again, theirs))
      << where << "\n"
      << again.DebugString() << theirs.DebugString();
}

void expect_same_node(const tensorflow::NodeDef& theirs, const NodeView& ours, bool damaged) {
  const std::string where = theirs.name();
  EXPECT_EQ(ours.name, theirs.name());
  EXPECT_EQ(ours.op, theirs.op()) << where;
  EXPECT_EQ(ours.device, theirs.device()) << where;
  EXPECT_TRUE(std::equal(ours.inputs.begin(), ours.inputs.end(), theirs.input().begin(),
                         theirs.input().end()))
      << where;
  const StatusOr<AttrMap> attrs = ours.attrs();
  size_t read = 0;
  for (const auto& [name, value] : theirs.attr()) {
    if (!damaged) {
      EXPECT_EQ(ours.attr_bytes(name), value.ByteSizeLong()) << where << "." << name;
    }
    if (name.starts_with('_')) continue;
    ++read;
    const StatusOr<AttrValue> attr = ours.attr(name);
    if (!attr.ok()) {
      EXPECT_FALSE(attrs.ok()) << where;
      continue;
    }
    expect_same_attr(value, *attr, cat(where, ".", name));
    if (attrs.ok()) {
      EXPECT_TRUE(attr_equal(*attrs->find(name), *attr)) << where << "." << name;
    }
  }
  if (attrs.ok()) {
    EXPECT_EQ(attrs->size(), read) << where;
  }
}

template <class TheirNodes>
void expect_same_nodes(const TheirNodes& theirs, const std::vector<NodeView>& ours,
                       bool damaged = false) {
  ASSERT_EQ(ours.size(), static_cast<size_t>(theirs.size()));
  for (size_t i = 0; i < ours.size(); ++i)
    expect_same_node(theirs[static_cast<int>(i)], ours[i], damaged);
}

template <class TheirArgs>
void expect_same_args(const TheirArgs& theirs, const std::vector<FunctionArgView>& ours) {
  ASSERT_EQ(ours.size(), static_cast<size_t>(theirs.size()));
  for (size_t i = 0; i < ours.size(); ++i) {
    const auto& arg = theirs[static_cast<int>(i)];
    EXPECT_EQ(ours[i].name, arg.name());
    EXPECT_EQ(ours[i].dtype, arg.type());
    EXPECT_EQ(ours[i].generic, !arg.number_attr().empty() || !arg.type_list_attr().empty());
  }
}

void expect_same_function(const tensorflow::FunctionDef& theirs, const FunctionView& ours) {
  EXPECT_EQ(ours.name, theirs.signature().name());
  expect_same_args(theirs.signature().input_arg(), ours.args);
  expect_same_args(theirs.signature().output_arg(), ours.results);
  const auto& controls = theirs.signature().control_output();
  EXPECT_TRUE(std::equal(ours.control_outputs.begin(), ours.control_outputs.end(), controls.begin(),
                         controls.end()));
  const auto expect_same_map = [](const auto& want, const auto& got) {
    EXPECT_EQ(got.size(), want.size());
    for (const auto& [key, value] : want) EXPECT_EQ(got.at(key), value);
  };
  expect_same_map(theirs.ret(), ours.ret);
  expect_same_map(theirs.control_ret(), ours.control_ret);
  for (const auto& [index, attrs] : theirs.arg_attr()) {
    const auto it = attrs.attr().find("_output_shapes");
    const bool known = it != attrs.attr().end() && it->second.list().shape_size() > 0;
    ASSERT_EQ(ours.arg_shapes.contains(index), known);
    if (!known) continue;
    EXPECT_EQ(ours.arg_shapes.at(index),
              *parse_shape(it->second.list().shape(0).SerializeAsString()));
  }
  expect_same_nodes(theirs.node_def(), ours.nodes);
}

TEST(GraphView, EveryCaseIsWhatProtobufReads) {
  size_t functions = 0;
  for (const std::string& file : case_files()) {
    SCOPED_TRACE(file);
    const tensorflow::GraphDef theirs = graph_of(file);
    const auto ours = GraphView::parse(theirs.SerializeAsString());
    ASSERT_TRUE(ours.ok()) << ours.status();
    expect_same_nodes(theirs.node(), (*ours)->nodes());
    ASSERT_EQ((*ours)->functions().size(), static_cast<size_t>(theirs.library().function_size()));
    for (int i = 0; i < theirs.library().function_size(); ++i) {
      const GraphView::Function& function = (*ours)->functions()[static_cast<size_t>(i)];
      EXPECT_EQ(function.name, theirs.library().function(i).signature().name());
      const auto body = (*ours)->body(function);
      ASSERT_TRUE(body.ok()) << body.status();
      expect_same_function(theirs.library().function(i), *body);
      ++functions;
    }
  }
  EXPECT_GT(functions, 500u);
}

// Two messages one after the other are one, merged: scalars of the second, lists of both.
TEST(GraphView, PiecesAreMergedAsProtobufMerges) {
  tensorflow::GraphDef first, second;
  auto& node = *first.add_node();
  node.set_name("a");
  auto& other = *second.add_node();
  other.set_name("b");
  auto& function = *first.mutable_library()->add_function();
  function.mutable_signature()->set_name("f");
  second.mutable_library()->add_function()->mutable_signature()->set_name("g");
  const std::string bytes = first.SerializeAsString() + second.SerializeAsString();
  const auto graph = GraphView::parse(bytes);
  ASSERT_TRUE(graph.ok()) << graph.status();
  ASSERT_EQ((*graph)->nodes().size(), 2u);
  EXPECT_EQ((*graph)->nodes()[1].name, "b");
  ASSERT_EQ((*graph)->functions().size(), 2u);
  EXPECT_EQ((*graph)->functions()[1].name, "g");

  tensorflow::FunctionDef head, tail;
  head.mutable_signature()->set_name("old");
  head.mutable_signature()->add_input_arg()->set_name("x");
  (*head.mutable_ret())["y"] = "first";
  tail.mutable_signature()->set_name("new");
  tail.mutable_signature()->add_input_arg()->set_name("z");
  (*tail.mutable_ret())["y"] = "second";
  const std::string joined = head.SerializeAsString() + tail.SerializeAsString();
  const auto merged = (*graph)->body({"f", joined});
  ASSERT_TRUE(merged.ok()) << merged.status();
  tensorflow::FunctionDef theirs;
  ASSERT_TRUE(theirs.ParseFromString(joined));
  expect_same_function(theirs, *merged);
}

TEST(AttrMessage, OfAOneofTheLastValueCounts) {
  tensorflow::AttrValue number, shape, wider;
  number.set_i(3);
  shape.mutable_shape()->add_dim()->set_size(2);
  wider.mutable_shape()->add_dim()->set_size(5);
  for (const auto& pieces : {std::vector{shape, number}, std::vector{number, shape, wider},
                             std::vector{shape, number, wider}, std::vector{number, number}}) {
    std::string bytes;
    for (const auto& piece : pieces) bytes += piece.SerializeAsString();
    tensorflow::AttrValue theirs;
    ASSERT_TRUE(theirs.ParseFromString(bytes));
    const auto ours = parse_attr(bytes);
    ASSERT_TRUE(ours.ok()) << ours.status();
    expect_same_attr(theirs, *ours, "pieces");
  }
}

TEST(AttrMessage, ListsMayBeUnpacked) {
  // list { i: 1 i: 2 } and list { f: 1 } with a tag for each value, type: DT_FLOAT in a list.
  const std::string_view messages[] = {std::string_view("\x0a\x04\x18\x01\x18\x02", 6),
                                       std::string_view("\x0a\x05\x25\x00\x00\x80\x3f", 7),
                                       std::string_view("\x0a\x02\x30\x01", 4),
                                       std::string_view("\x0a\x04\x28\x01\x28\x00", 6)};
  for (const std::string_view message : messages) {
    tensorflow::AttrValue theirs;
    ASSERT_TRUE(theirs.ParseFromString(std::string(message)));
    const auto ours = parse_attr(message);
    ASSERT_TRUE(ours.ok()) << ours.status();
    expect_same_attr(theirs, *ours, "list");
  }
}

TEST(AttrMessage, FunctionsOfFunctionsHaveADepth) {
  tensorflow::AttrValue value;
  value.set_i(1);
  for (int depth = 0; depth < 40; ++depth) {
    tensorflow::AttrValue outer;
    outer.mutable_func()->set_name("f");
    (*outer.mutable_func()->mutable_attr())["inner"] = value;
    value = outer;
    const bool accepted = parse_attr(value.SerializeAsString()).ok();
    EXPECT_EQ(accepted, depth <= 32) << depth;
  }
}

// A large constant is one Tensor for everybody, whose bytes in the file are given up; others stay.
TEST(GraphView, LargeTensorsAreTakenOutOfTheFile) {
  tensorflow::GraphDef graph;
  const size_t count = size_t{1} << 19;
  std::string content(count * sizeof(float), '\0');
  for (size_t i = 0; i < count; ++i) {
    const auto value = static_cast<float>(i);
    std::memcpy(content.data() + i * sizeof(float), &value, sizeof(value));
  }
  const auto add = [&](tensorflow::NodeDef& node, const std::string& name) {
    node.set_name(name);
    node.set_op("Const");
    auto& tensor = *(*node.mutable_attr())["value"].mutable_tensor();
    tensor.set_dtype(tensorflow::DT_FLOAT);
    tensor.mutable_tensor_shape()->add_dim()->set_size(static_cast<int64_t>(count));
    tensor.set_tensor_content(content);
    (*node.mutable_attr())["after"].set_s("text");
  };
  add(*graph.add_node(), "own");
  auto& function = *graph.mutable_library()->add_function();
  function.mutable_signature()->set_name("f");
  add(*function.add_node_def(), "inner");
  graph.add_node()->set_name("last");
  const auto bytes = std::make_shared<MessageBytes>(graph.SerializeAsString());
  const std::string_view whole = bytes->view();
  const auto view = GraphView::parse({&whole, 1}, bytes);
  ASSERT_TRUE(view.ok()) << view.status();
  ASSERT_EQ((*view)->nodes().size(), 2u);
  EXPECT_EQ((*view)->nodes()[1].name, "last");
  const auto body = (*view)->body((*view)->functions()[0]);
  ASSERT_TRUE(body.ok());
  for (const NodeView* node : {&(*view)->nodes()[0], &body->nodes[0]}) {
    EXPECT_EQ(node->string_attr("after"), "text");
    EXPECT_GT(node->attr_bytes("value"), content.size());
    const void* memory = nullptr;
    for (int time = 0; time < 2; ++time) {
      const StatusOr<AttrMap> attrs = node->attrs();
      ASSERT_TRUE(attrs.ok()) << attrs.status();
      const Tensor* const tensor = attrs->get_if<Tensor>("value");
      ASSERT_TRUE(tensor);
      ASSERT_EQ(tensor->num_bytes(), content.size());
      EXPECT_EQ(std::memcmp(tensor->raw(), content.data(), content.size()), 0);
      EXPECT_EQ(std::exchange(memory, tensor->raw()), time == 0 ? nullptr : tensor->raw());
    }
  }
  // The middle of the file reads as zeros: it holds no memory any more.
  EXPECT_EQ(whole.substr(size_t{1} << 20, 4096).find_first_not_of('\0'), std::string_view::npos);
}

// Damaged graphs are refused or read; where protobuf reads them too, names,
// edges and attributes are the same.
TEST(GraphView, DamagedGraphsAreRefusedOrReadAsProtobufDoes) {
  const google::protobuf::LogSilencer quiet;
  const tensorflow::GraphDef graph =
      graph_of(TENON_SOURCE_DIR "/../shared/cases/models/tf1_control_flow_v1/1/saved_model.pb");
  std::mt19937 random(5);
  int accepted = 0;
  for (int round = 0; round < 5000; ++round) {
    const auto& node =
        graph.node(static_cast<int>(random() % static_cast<unsigned>(graph.node_size())));
    tensorflow::GraphDef one;
    *one.add_node() = node;
    std::string bytes = one.SerializeAsString();
    for (unsigned i = 0; i <= random() % 3; ++i)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0) bytes.resize(random() % bytes.size());
    const auto ours = GraphView::parse(bytes);
    if (ours.ok()) {
      for (const NodeView& view : (*ours)->nodes()) (void)view.attrs().ok();
      for (const GraphView::Function& function : (*ours)->functions()) {
        (void)(*ours)->body(function).ok();
      }
    }
    tensorflow::GraphDef theirs;
    if (!ours.ok() || !theirs.ParseFromString(bytes)) continue;
    ++accepted;
    expect_same_nodes(theirs.node(), (*ours)->nodes(), /*damaged=*/true);
  }
  EXPECT_GT(accepted, 500);
}

// Large contents stay in the file until somebody asks; all else is there, whatever is damaged.
TEST(MessageBytes, LeavesLargeContentsInTheFile) {
  tensorflow::SavedModel model;
  tensorflow::GraphDef& graph = *model.add_meta_graphs()->mutable_graph_def();
  const auto add_constant = [](tensorflow::NodeDef& node, char filler) {
    node.set_name("c");
    node.set_op("Const");
    auto& tensor = *(*node.mutable_attr())["value"].mutable_tensor();
    tensor.set_dtype(tensorflow::DT_UINT8);
    tensor.mutable_tensor_shape()->add_dim()->set_size(9 << 20);
    tensor.set_tensor_content(std::string(9 << 20, filler));
  };
  add_constant(*graph.add_node(), 'a');
  auto& function = *graph.mutable_library()->add_function();
  function.mutable_signature()->set_name("f");
  add_constant(*function.add_node_def(), 'b');
  graph.add_node()->set_name("last");
  const auto folder = TemporaryDirectory::create();
  ASSERT_TRUE(folder.ok());
  const std::string path = join_path(folder->path(), "saved_model.pb");
  const std::string whole = model.SerializeAsString();
  for (const size_t size : {whole.size(), whole.size() - 1, whole.size() - (size_t{9} << 20)}) {
    const std::string file = whole.substr(0, size);
    ASSERT_TRUE(write_file(path, file).ok());
    const auto bytes = MessageBytes::read_saved_model(path, uint64_t{2} << 30);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const std::string_view view = (*bytes)->view();
    ASSERT_EQ(view.size(), file.size());
    if (size == whole.size()) {
      EXPECT_EQ(view[whole.find(std::string(1 << 20, 'a')) + (5 << 20)], '\0');
      EXPECT_EQ(view[whole.find(std::string(1 << 20, 'b')) + (5 << 20)], '\0');
    }
    EXPECT_NE(view.find("last"), std::string_view::npos);
    ASSERT_TRUE((*bytes)->load(view).ok());
    EXPECT_TRUE(view == file);
  }
  EXPECT_EQ(MessageBytes::read_saved_model(path, 1000).status().code(),
            absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace tenon
