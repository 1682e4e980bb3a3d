// TensorFlow 1's control flow as the importer takes and refuses it. That the functions compute what
// TensorFlow computes is tested by tests/interop/control_flow_v1.py and by shared/cases.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tenon/base/files.h"
#include "tenon/graph/import.h"
#include "tenon/ops/registered_ops_test.h"
#include "tensorflow/core/protobuf/saved_model.pb.h"

namespace tenon {
namespace {

using tensorflow::GraphDef;
using tensorflow::NodeDef;

// The reference case with nested loops, conditions and TensorArrays.
struct ReferenceModel {
  GraphDef graph;
  std::vector<std::string> feeds = {"x:0", "n:0"};
  std::vector<std::string> fetches;
};

ReferenceModel read_reference_model() {
  ReferenceModel model;
  const auto bytes =
      read_file(TENON_SOURCE_DIR "/../shared/cases/models/tf1_control_flow_v1/1/saved_model.pb");
  tensorflow::SavedModel saved;
  EXPECT_TRUE(bytes.ok() && saved.ParseFromString(*bytes)) << bytes.status();
  if (saved.meta_graphs_size() == 0) return model;
  model.graph = saved.meta_graphs(0).graph_def();
  for (const auto& [name, info] :
       saved.meta_graphs(0).signature_def().at("serving_default").outputs()) {
    model.fetches.push_back(info.name());
  }
  std::sort(model.fetches.begin(), model.fetches.end());  // a protobuf map has no order
  return model;
}

StatusOr<Graph> import_graph(const GraphDef& graph, const std::vector<std::string>& feeds,
                             const std::vector<std::string>& fetches) {
  TENON_RETURN_IF_ERROR(registered_ops());
  TENON_ASSIGN_OR_RETURN(const auto file, GraphView::parse(graph.SerializeAsString()));
  TENON_ASSIGN_OR_RETURN(const auto importer, GraphImporter::create(file));
  return importer->extract(feeds, feeds, fetches, {});
}

int count(const Graph& graph, std::string_view op) {
  int found = 0;
  for (NodeId id = 0; id < graph.size(); ++id) found += graph.node(id).is(op);
  return found;
}

NodeDef* find(GraphDef& graph, std::string_view name) {
  for (NodeDef& node : *graph.mutable_node()) {
    if (node.name() == name) return &node;
  }
  ADD_FAILURE() << "no node " << name;
  return graph.add_node();
}

std::string error_of(const GraphDef& graph, const ReferenceModel& model) {
  const StatusOr<Graph> imported = import_graph(graph, model.feeds, model.fetches);
  return imported.ok()
             ? "imported"
             : cat(code_name(imported.status().code()), ": ", message_of(imported.status()));
}

TEST(ControlFlowV1, LoopsAndConditionsBecomeFunctions) {
  const ReferenceModel model = read_reference_model();
  const StatusOr<Graph> graph = import_graph(model.graph, model.feeds, model.fetches);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(count(*graph, "StatelessWhile"), 2);
  EXPECT_EQ(count(*graph, "StatelessIf"), 1);
  const auto body = graph->library()->find("while_while_context_body");
  ASSERT_TRUE(body.ok()) << body.status();
  EXPECT_EQ(count(**body, "StatelessWhile"), 1);
  EXPECT_EQ(count(**body, "StatelessIf"), 1);
}

struct Malformed {
  std::string name;
  void (*change)(GraphDef&);
  std::string error;  // a part of it
};

const Malformed kMalformed[] = {
    {"LoopWithoutCondition",
     [](GraphDef& g) {
       for (NodeDef& node : *g.mutable_node()) {
         for (std::string& input : *node.mutable_input()) {
           if (input == "while/while/LoopCond") input = "while/while/Less";
         }
       }
     },
     "UNIMPLEMENTED: frame 'while/while/while_context': there is no LoopCond"},
    {"TwoConditions",
     [](GraphDef& g) {
       NodeDef* second = g.add_node();
       *second = *find(g, "while/LoopCond");
       second->set_name("second");
       find(g, "while/Switch_1")->set_input(1, "second");
     },
     "is the second LoopCond of its frame"},
    {"ExitWithoutEnter", [](GraphDef& g) { find(g, "while/Exit_1")->set_input(0, "x"); },
     "INVALID_ARGUMENT: node 'while/Exit_1' (op Exit) leaves a frame that nothing enters"},
    {"ExitOfNoVariable",
     [](GraphDef& g) { find(g, "while/Exit_1")->set_input(0, "while/Identity_1"); },
     "UNIMPLEMENTED: frame 'while/while_context': node 'while/Exit_1' (op Exit) takes"},
    {"MergeWithoutSwitch",
     [](GraphDef& g) {
       NodeDef* merge = find(g, "cond/Merge");
       merge->set_input(0, "x");
       merge->set_input(1, "x");
     },
     "UNIMPLEMENTED: node 'cond/Merge' (op Merge) joins 'x:0' and 'x:0'"},
    {"SwitchWithoutMerge", [](GraphDef& g) { find(g, "Sum")->set_input(0, "cond/mul"); },
     "INVALID_ARGUMENT: the graph has a cycle"},
    {"OverlappingFrames",
     [](GraphDef& g) { find(g, "while/add")->set_input(1, "map/while/Identity"); },
     "takes values of two frames"},
    {"AValueOfOutsideInAFrame", [](GraphDef& g) { find(g, "while/add")->set_input(1, "n"); },
     "'n:0' in no frame"},
    {"ValueOfAFrameOutside",
     [](GraphDef& g) { find(g, "TensorArrayStack/range")->set_input(1, "while/Identity"); },
     "takes values of two frames"},
    {"FrameRenamed",
     [](GraphDef& g) { (*find(g, "while/Enter_1")->mutable_attr())["frame_name"].set_s("other"); },
     "takes values of two frames"},
    {"TwoEnters", [](GraphDef& g) { find(g, "while/Merge_1")->set_input(1, "while/Enter_1"); },
     "UNIMPLEMENTED: frame 'while/while_context': node 'while/Switch_1' (op Switch) does not "
     "switch a "
     "loop variable"},
    {"IterationWithoutMerge",
     [](GraphDef& g) { find(g, "while/add")->set_input(0, "while/NextIteration_1"); }, "while/"},
    {"CycleWithoutIteration",
     [](GraphDef& g) { find(g, "while/Merge")->set_input(1, "while/add"); },
     "INVALID_ARGUMENT: the graph has a cycle"},
    {"MissingInput", [](GraphDef& g) { find(g, "while/Switch")->mutable_input()->RemoveLast(); },
     "INVALID_ARGUMENT: node 'while/Switch' (op Switch): has 1 inputs, 2 are expected"},
    {"UnknownArray",
     [](GraphDef& g) {
       NodeDef* handle = g.add_node();
       handle->set_name("handle");
       handle->set_op("Placeholder");
       (*handle->mutable_attr())["dtype"].set_type(tensorflow::DT_RESOURCE);
       find(g, "map/while/TensorArrayReadV3/Enter")->set_input(0, "handle");
     },
     "UNIMPLEMENTED: node 'map/while/TensorArrayReadV3' (op TensorArrayReadV3) uses a "
     "TensorArray whose TensorArrayV3 cannot be found"},
    {"FlowUsedAsNumber", [](GraphDef& g) { find(g, "Sum")->set_input(0, "TensorArray:1"); },
     "UNIMPLEMENTED: node 'Sum' (op Sum) takes the flow of the TensorArray of node 'TensorArray'"},
};

class MalformedControlFlow : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedControlFlow, IsOneErrorThatNamesWhereItIs) {
  const ReferenceModel model = read_reference_model();
  GraphDef graph = model.graph;
  GetParam().change(graph);
  const std::string error = error_of(graph, model);
  EXPECT_NE(error.find(GetParam().error), std::string::npos) << error;
}

INSTANTIATE_TEST_SUITE_P(ControlFlowV1, MalformedControlFlow, testing::ValuesIn(kMalformed),
                         [](const auto& info) { return info.param.name; });

// Loops inside one another, `depth` of them, around one value.
GraphDef nested_frames(int depth) {
  GraphDef graph;
  const auto add = [&](const std::string& name, const std::string& op,
                       const std::vector<std::string>& inputs) {
    NodeDef* node = graph.add_node();
    node->set_name(name);
    node->set_op(op);
    for (const std::string& input : inputs) node->add_input(input);
    (*node->mutable_attr())["T"].set_type(tensorflow::DT_FLOAT);
    return node;
  };
  (*add("x", "Placeholder", {})->mutable_attr())["dtype"].set_type(tensorflow::DT_FLOAT);
  std::string value = "x";
  for (int i = 0; i < depth; ++i) {
    const std::string name = cat("enter_", i);
    (*add(name, "Enter", {value})->mutable_attr())["frame_name"].set_s(cat("frame_", i));
    value = name;
  }
  for (int i = 0; i < depth; ++i) {
    const std::string name = cat("exit_", i);
    add(name, "Exit", {value});
    value = name;
  }
  add("y", "Identity", {value});
  return graph;
}

TEST(ControlFlowV1, DeepFramesAreRefused) {
  const StatusOr<Graph> graph = import_graph(nested_frames(1000), {"x:0"}, {"y:0"});
  EXPECT_EQ(graph.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_NE(message_of(graph.status()).find("enters frame 'frame_64'"), std::string::npos)
      << graph.status();
}

// One random change to a graph: an input, a frame, an attribute, an op.
void mutate(GraphDef& graph, std::mt19937& random) {
  const auto pick = [&](int count) {
    return static_cast<int>(random() % static_cast<unsigned>(count));
  };
  NodeDef& node = *graph.mutable_node(pick(graph.node_size()));
  const NodeDef& other = graph.node(pick(graph.node_size()));
  const std::string inputs[] = {other.name(), other.name() + ":1", "^" + other.name()};
  switch (pick(6)) {
    case 0:
      if (node.input_size() > 0) node.set_input(pick(node.input_size()), inputs[pick(3)]);
      break;
    case 1:
      node.add_input(inputs[pick(3)]);
      break;
    case 2:
      if (node.input_size() > 0) node.mutable_input()->RemoveLast();
      break;
    case 3:
      if (node.attr().contains("frame_name")) {
        (*node.mutable_attr())["frame_name"].set_s(pick(2) ? "while/while_context" : "other");
        (*node.mutable_attr())["is_constant"].set_b(pick(2) == 1);
      }
      break;
    case 4:
      node.set_op(other.op());
      break;
    default:
      if (node.input_size() > 1) node.mutable_input()->SwapElements(0, node.input_size() - 1);
  }
}

TEST(ControlFlowV1, ChangedGraphsAreImportedOrRefused) {
  const ReferenceModel model = read_reference_model();
  ASSERT_GT(model.graph.node_size(), 0);
  std::mt19937 random(20211);
  for (int round = 0; round < 400; ++round) {
    GraphDef graph = model.graph;
    const unsigned changes = 1 + random() % 4;
    for (unsigned i = 0; i < changes; ++i) mutate(graph, random);
    const StatusOr<Graph> imported = import_graph(graph, model.feeds, model.fetches);
    if (imported.ok()) continue;
    const absl::StatusCode code = imported.status().code();
    EXPECT_TRUE(code == absl::StatusCode::kInvalidArgument ||
                code == absl::StatusCode::kUnimplemented || code == absl::StatusCode::kNotFound)
        << imported.status();
    EXPECT_NE(message_of(imported.status()).find('\''), std::string_view::npos)
        << "names no node: " << imported.status();
  }
}

}  // namespace
}  // namespace tenon
