// Model::summary(): the table that Keras prints through the library rich
// (keras/src/utils/summary_utils.py; rich/table.py for widths, rich/_wrap.py for line breaks).
#include <cmath>
#include <cstdio>

#include "tenon/keras/model.h"

namespace tenon::keras {

namespace {

using SummaryRow = std::vector<std::string>;

std::string with_commas(int64_t number) {
  std::string digits = cat(number);
  for (auto at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), 1, ',');
  }
  return digits;
}

std::string memory_size(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB", "PB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  while (size >= 1024 && unit + 1 < std::size(kUnits)) {
    size /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof(text), "%.2f %s", size, kUnits[unit]);
  return text;
}

struct ParameterCount {
  int64_t count = 0, bytes = 0;
  void add(const Weight& weight) {
    count += weight.shape.num_elements();
    bytes += weight.shape.num_elements() * static_cast<int64_t>(size_of(weight.dtype));
  }
  std::string text(std::string_view what) const {
    return cat(" ", what, " params: ", with_commas(count), " (", memory_size(bytes), ")\n");
  }
};

std::string shape_text(const PartialShape& shape) {
  std::vector<std::string> dims;
  for (int64_t dim : shape.dims()) dims.push_back(dim < 0 ? "None" : cat(dim));
  return cat("(", join(dims, ", "), ")");
}

// Breaks at spaces; a word that is wider than the column is cut and gets an ellipsis.
std::vector<std::string> wrap(std::string_view text, size_t width) {
  std::vector<std::string> lines = {""};
  for (std::string_view word : split(text, ' ')) {
    std::string& line = lines.back();
    const size_t offset = line.empty() ? 0 : line.size() + 1;
    if (offset + word.size() <= width || (line.empty() && lines.size() == 1)) {
      line += cat(line.empty() ? "" : " ", word);
    } else {
      lines.emplace_back(word);
    }
  }
  for (std::string& line : lines) {
    if (line.size() <= width) continue;
    line.resize(width - std::min<size_t>(width, 1));
    line += "…";
  }
  return lines;
}

size_t cell_width(std::string_view text) {
  size_t width = 0;
  for (char c : text) width += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  return width;
}

std::string repeated(std::string_view piece, size_t times) {
  std::string out;
  for (size_t i = 0; i < times; ++i) out += piece;
  return out;
}

class Table {
 public:
  // `widths` as Keras asks for them; rich then makes them fit into `line_length`.
  Table(std::vector<int> widths, int line_length) {
    int total = 0;
    for (int& width : widths) total += width += 2;
    const int available = line_length - static_cast<int>(widths.size()) - 1;
    int excess = std::max(0, total - available);
    for (size_t i = 0; i < widths.size(); ++i) {
      // Python's round(): halves to even.
      const auto share = static_cast<int>(
          std::nearbyint(static_cast<double>(excess) / static_cast<double>(widths.size() - i)));
      widths[i] = std::max(3, widths[i] - share);
      excess -= share;
      widths_.push_back(static_cast<size_t>(widths[i]));
    }
  }

  std::string rule(std::string_view left, std::string_view line, std::string_view cross,
                   std::string_view right) const {
    std::string out(left);
    for (size_t i = 0; i < widths_.size(); ++i) {
      out += cat(i == 0 ? "" : cross, repeated(line, widths_[i]));
    }
    return cat(out, right, "\n");
  }

  std::string row(const SummaryRow& cells, std::string_view bar) const {
    std::vector<std::vector<std::string>> lines;
    size_t height = 1;
    for (size_t i = 0; i < cells.size(); ++i) {
      lines.push_back(wrap(cells[i], widths_[i] - 2));
      height = std::max(height, lines.back().size());
    }
    std::string out;
    for (size_t y = 0; y < height; ++y) {
      out += bar;
      for (size_t i = 0; i < cells.size(); ++i) {
        const std::string text = y < lines[i].size() ? lines[i][y] : "";
        const size_t gap = widths_[i] - 2 - std::min(widths_[i] - 2, cell_width(text));
        const std::string space = repeated(" ", gap);
        // The third column, "Param #", is right-aligned.
        out += i == 2 ? cat(" ", space, text, " ", bar) : cat(" ", text, space, " ", bar);
      }
      out += "\n";
    }
    return out;
  }

 private:
  std::vector<size_t> widths_;
};

std::string connections(const Network& network, const Layer& layer) {
  std::vector<std::string> inputs;
  for (const auto& call : network.calls) {
    if (call->layer.get() != &layer) continue;
    for (const KTensor& input : call->inputs) {
      inputs.push_back(cat(input.layer().name(), "[", network.call_index(*input.call()), "][",
                           input.index(), "]"));
    }
  }
  return inputs.empty() ? "-" : join(inputs, ", ");
}

std::string output_shape(const Network& network, const Layer& layer) {
  std::string text = "?";
  for (const auto& call : network.calls) {
    if (call->layer.get() != &layer) continue;
    std::vector<std::string> shapes;
    for (const CallOutput& output : call->outputs) shapes.push_back(shape_text(output.shape));
    text = shapes.size() == 1 ? shapes[0] : cat("[", join(shapes, ", "), "]");
  }
  return text;
}

}  // namespace

std::string Model::summary(int columns) const {
  const bool plain = sequential_ || network_.is_chain;
  const int line_length = std::max(40, std::min(plain ? 88 : 108, columns - 4));
  const std::vector<double> ends =
      plain ? std::vector<double>{.45, .80, 1.0} : std::vector<double>{.3, .56, .74, 1.0};
  std::vector<int> widths;
  int before = 0;
  for (double end : ends) {
    widths.push_back(static_cast<int>(end * line_length) - before);
    before += widths.back();
  }
  SummaryRow header = {"Layer (type)", "Output Shape", "Param #"};
  if (!plain) header.push_back("Connected to");
  const Table table(widths, line_length);
  std::string out = cat("Model: \"", name_, "\"\n", table.rule("┏", "━", "┳", "┓"),
                        table.row(header, "┃"), table.rule("┡", "━", "╇", "┩"));
  bool first = true;
  for (const auto& layer : network_.layers) {
    if (sequential_ && layer->class_name() == "InputLayer") continue;
    ParameterCount parameters;
    std::set<const Layer*> seen;
    visit_layers(layer, seen, [&](Layer& each) {
      for (const Weight* weight : each.stored_weights()) parameters.add(*weight);
    });
    SummaryRow row = {cat(layer->name(), " (", layer->class_name(), ")"),
                      output_shape(network_, *layer), with_commas(parameters.count)};
    if (!plain) row.push_back(connections(network_, *layer));
    if (!first) out += table.rule("├", "─", "┼", "┤");
    first = false;
    out += table.row(row, "│");
  }
  out += table.rule("└", "─", "┴", "┘");
  ParameterCount total, trainable, fixed, optimizer;
  const std::vector<Weight*> trained = trainable_weights();
  for (const Weight* weight : weights()) {
    const bool moves = std::find(trained.begin(), trained.end(), weight) != trained.end();
    (moves ? trainable : fixed).add(*weight);
    total.add(*weight);
  }
  if (trained_) {
    for (const Weight* weight : optimizer_->variables()) {
      optimizer.add(*weight);
      total.add(*weight);
    }
  }
  out += total.text("Total") + trainable.text("Trainable") + fixed.text("Non-trainable");
  return trained_ ? out + optimizer.text("Optimizer") : out;
}

}  // namespace tenon::keras
