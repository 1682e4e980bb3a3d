// Lookup: a vocabulary and what StringLookup, IntegerLookup and TextVectorization make of it.
//
// It is part of the graph as constants, not a table: the hashes of the texts (or the numbers
// themselves) in order, and beside them the texts and their places. A text is found by a binary
// search for its hash and is in the vocabulary where it equals the one that stands there. So an
// exported model has no state that must be set up first.
#pragma once

#include "tenon/keras/layers/builtin.h"

namespace tenon::keras::layers {

class Lookup {
 public:
  // `keys`: kString or kInt64, what the vocabulary is made of.
  explicit Lookup(DType keys);

  // The options by Keras' names, IndexLookup.get_config(), but those of one of the layers alone.
  bool invert = false;
  std::optional<int64_t> max_tokens, vocabulary_size;
  int64_t num_oov_indices = 1;
  Json oov_token, mask_token, vocabulary, idf_weights, salt;
  std::string output_mode = "int", oov_method = "floormod";
  bool pad_to_max_tokens = false;

  // Checks the options and takes the vocabulary among them. Without one, places can be asked for
  // when the number of tokens is known; running then fails.
  Status prepare();
  // What Keras has found in data and keeps in its file: the lines of vocabulary.txt, special tokens
  // included, and the weights of output mode "tf_idf", else none.
  Status set_found(std::string_view lines, const Tensor& weights);
  bool is_known() const { return known_; }
  // Null but in output mode "tf_idf": float32, one for each output.
  const Tensor& weights() const { return weights_; }

  // Places of `x`, of its shape: int64. With `invert`, tokens of places.
  Endpoint find(GraphBuilder& g, Endpoint x) const;
  // The layer's output for places that make a tensor, or rows that begin at `splits`.
  Endpoint encode(GraphBuilder& g, Endpoint places) const;
  Endpoint encode_rows(GraphBuilder& g, Endpoint places, Endpoint splits) const;

 private:
  bool holds_text() const { return keys_ == DType::kString; }
  int64_t first_oov() const { return !mask_token.is_null() && output_mode == "int" ? 1 : 0; }
  int64_t first_token() const { return first_oov() + num_oov_indices; }
  int64_t depth() const { return pad_to_max_tokens ? *max_tokens : *vocabulary_size; }
  Status check_options() const;
  Status take_tokens();
  Status take_weights(bool with_special_tokens);
  Status sort_tokens();
  Endpoint token(GraphBuilder& g, const Json& token) const;
  Endpoint find_in_order(GraphBuilder& g, Endpoint x) const;
  Endpoint find_token(GraphBuilder& g, Endpoint place) const;
  Endpoint out_of_vocabulary(GraphBuilder& g, Endpoint x, Endpoint places) const;
  Endpoint weighted(GraphBuilder& g, Endpoint counts) const;

  DType keys_;
  bool known_ = false;
  std::vector<std::string> texts_;  // without special tokens
  std::vector<int64_t> numbers_;
  Tensor sorted_;  // [1, n], int64: hashes of texts, or numbers
  Tensor tokens_;  // [n], in that order; with `invert`, in the vocabulary's
  Tensor places_;  // [n], int64
  Tensor weights_;
};

// A layer that has one. Its files hold what was found in data beside the weights.
class HasLookup {
 public:
  virtual ~HasLookup() = default;
  virtual Lookup& lookup() = 0;
  // Groups of the file that hold the weights of "tf_idf", below the layer's own.
  virtual std::vector<std::string> weight_groups() const { return {""}; }
};

// Class numbers of the output mode "int" (then cast to `dtype`), "one_hot", "multi_hot" or "count".
Status check_output_mode(std::string_view mode, const PartialShape& input);
Endpoint encode_numbers(GraphBuilder& g, Endpoint numbers, std::string_view mode, int64_t depth,
                        DType dtype);

// `value`, once `condition` has been seen to hold; otherwise the run fails with `message` and what
// `found` holds.
Endpoint only_if(GraphBuilder& g, Endpoint value, Endpoint condition, std::string_view message,
                 Endpoint found);

// What Keras' layers write whose constructor takes neither "trainable" nor a policy object.
Json with_plain_dtype(const Json& described, std::string_view dtype);

}  // namespace tenon::keras::layers
