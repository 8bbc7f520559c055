#include "crds/yaml.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <unordered_set>

#include "crds/yaml_scalar.hpp"
#include "goenv/text.hpp"

namespace gobuildenv::crds {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxDepth = 100;
constexpr std::size_t kMaxValues = 1'000'000;
constexpr std::size_t kMaxBytes = std::size_t{64} << 20U;
/// ordered_json looks keys up one by one; a wide hostile map must not take quadratic time.
constexpr std::size_t kMaxKeys = 20'000;

/// Thrown inside this file only, to leave the parser.
struct Failure {
  YAML::Mark mark;
  std::string message;
};

/// How much a value holds, itself included: what an alias to it adds to the document.
struct Size {
  std::size_t values = 0;
  std::size_t bytes = 0;
};

/// Builds JSON from the parser's events, without the node tree of yaml-cpp.
class Builder : public YAML::EventHandler {
 public:
  std::vector<YamlDocument> documents;

  void OnDocumentStart(const YAML::Mark& mark) override {
    // On some unfinished texts the parser gives documents for ever without moving on.
    if (mark.pos == start_.pos && mark.pos >= 0) throw Failure{mark, "the text is not complete"};
    start_ = mark;
    document_ = nullptr;
    frames_.clear();
    anchors_.clear();
    total_ = {};
  }

  void OnDocumentEnd() override {
    if (document_.is_null()) return;
    documents.push_back({std::max(start_.line, 0) + 1, document_.dump()});
  }

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) throw Failure{mark, "a key is missing"};
    count(mark, {1, 0});
    add(mark, anchor, nullptr, {1, 0});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto it = anchors_.find(anchor);
    if (it == anchors_.end()) throw Failure{mark, "an alias stands inside what it names"};
    if (expects_key()) throw Failure{mark, "a key must be a plain word or a string"};
    count(mark, it->second.second);
    add(mark, YAML::NullAnchor, it->second.first, it->second.second);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    count(mark, {1, text.size()});
    Json value = scalar(mark, tag, text);
    if (!expects_key()) return add(mark, anchor, std::move(value), {1, text.size()});
    Frame& frame = frames_.back();
    frame.merging = text == "<<" && tag != "!";
    frame.key = value.is_string() ? value.get<std::string>() : value.dump();
    if (frame.merging) return;
    if (frame.value.size() >= kMaxKeys) {
      throw Failure{mark, fmt::format("a map has more than {} keys", kMaxKeys)};
    }
    if (frame.value.contains(*frame.key)) {
      throw Failure{mark, fmt::format("key \"{}\" is there twice", goenv::printable(*frame.key))};
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, anchor, Json::array());
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, anchor, Json::object());
  }
  void OnMapEnd() override { close(); }

 private:
  /// A list or map whose items are still coming.
  struct Frame {
    Json value;
    YAML::Mark mark;
    YAML::anchor_t anchor = YAML::NullAnchor;
    Size size{1, 0};
    std::optional<std::string> key;  ///< in maps: the key whose value comes next
    bool merging = false;            ///< … which is "<<"
    Json merged = Json::object();
  };

  [[nodiscard]] bool expects_key() const {
    return !frames_.empty() && frames_.back().value.is_object() && !frames_.back().key;
  }

  static Json scalar(const YAML::Mark& mark, std::string_view tag, const std::string& text) {
    constexpr std::string_view kStandard = "tag:yaml.org,2002:";
    if (tag == "!") return text;  // quoted
    if (tag.starts_with(kStandard)) {
      tag.remove_prefix(kStandard.size());
      if (tag == "str") return text;
      if (tag == "binary") throw Failure{mark, "!!binary is not supported: write the text"};
    } else if (tag != "?" && !tag.empty()) {
      return text;  // a tag of somebody's own
    }
    auto value = resolve_plain_scalar(text);
    if (!value) throw Failure{mark, fmt::format("JSON has no number for {}", text)};
    return *value;
  }

  void open(const YAML::Mark& mark, YAML::anchor_t anchor, Json empty) {
    if (frames_.size() >= kMaxDepth) throw Failure{mark, "the nesting is too deep"};
    if (expects_key()) throw Failure{mark, "a key must be a plain word or a string"};
    count(mark, {1, 0});
    frames_.push_back({std::move(empty), mark, anchor, {1, 0}, {}, false, Json::object()});
  }

  void close() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    // What stands in the map itself wins over what is merged into it.
    for (auto& [name, value] : frame.merged.items()) {
      if (!frame.value.contains(name)) frame.value[name] = std::move(value);
    }
    add(frame.mark, frame.anchor, std::move(frame.value), frame.size);
  }

  /// Every value once, an alias with all that it stands for.
  void count(const YAML::Mark& mark, Size size) {
    total_.values += size.values;
    total_.bytes += size.bytes;
    if (total_.values > kMaxValues || total_.bytes > kMaxBytes) {
      throw Failure{mark, "aliases make the document too large"};
    }
  }

  void add(const YAML::Mark& mark, YAML::anchor_t anchor, Json value, Size size) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {value, size};
    if (frames_.empty()) {
      document_ = std::move(value);
      return;
    }
    Frame& frame = frames_.back();
    frame.size.values += size.values;
    frame.size.bytes += size.bytes;
    if (frame.value.is_array()) {
      frame.value.push_back(std::move(value));
      return;
    }
    if (frame.merging) {
      merge(mark, value, frame.merged);
    } else {
      frame.value[*frame.key] = std::move(value);
    }
    frame.key.reset();
    frame.merging = false;
  }

  static void merge(const YAML::Mark& mark, const Json& source, Json& into) {
    if (source.is_array()) {
      for (const auto& item : source) merge(mark, item, into);
      return;
    }
    if (!source.is_object()) throw Failure{mark, "\"<<\" needs a map or a list of maps"};
    for (const auto& [name, value] : source.items()) {
      if (!into.contains(name)) into[name] = value;
    }
  }

  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, std::pair<Json, Size>> anchors_;
  YAML::Mark start_ = YAML::Mark::null_mark();
  Json document_;
  Size total_;
};

YamlError failure(const YAML::Mark& mark, std::string_view message) {
  const int line = mark.line >= 0 ? mark.line + 1 : 1;
  return {line, fmt::format("line {}: {}", line, message)};
}

/// Whether JSON keeps to the limits, before any value is made: printing a deep one, or filling a
/// wide map, would already be too much.
class JsonLimits : public nlohmann::json_sax<Json> {
 public:
  bool twice_or_deep = false;
  bool wide = false;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    twice_or_deep = !open_.back().insert(name).second;
    wide = open_.back().size() > kMaxKeys;
    return !twice_or_deep && !wide;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool open() {
    open_.emplace_back();
    twice_or_deep = open_.size() > kMaxDepth;
    return !twice_or_deep;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::vector<std::unordered_set<std::string>> open_;  ///< the keys of each object; lists have none
};

/// A single JSON document needs no YAML parser; one with tabs is no YAML either. nullopt: `text` is
/// for the YAML parser, be it only because that knows the line of what is wrong.
std::optional<tl::expected<std::string, YamlError>> as_json(std::string& text) {
  const auto start = text.find_first_not_of(" \t\r\n");
  if (start == std::string::npos || text[start] != '{') return std::nullopt;
  JsonLimits limits;
  if (Json::sax_parse(text, &limits)) return Json::parse(text).dump();
  if (limits.wide) {
    return tl::unexpected(
        YamlError{1, fmt::format("line 1: a map has more than {} keys", kMaxKeys)});
  }
  // As far as the limits were looked at it is JSON, whose strings hold no tabs.
  if (limits.twice_or_deep) std::replace(text.begin(), text.end(), '\t', ' ');
  return std::nullopt;
}

/// YAML has no control characters but tab and line ends; the parser would take NUL for the end.
std::optional<YamlError> control_character(std::string_view text) {
  int line = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    if (goenv::is_control(c) && c != '\n' && c != '\r' && c != '\t') {
      return YamlError{line, fmt::format("line {}: control characters are not allowed", line)};
    }
  }
  return std::nullopt;
}

}  // namespace

tl::expected<std::vector<YamlDocument>, YamlError> yaml_to_json(std::string_view input) {
  std::string text(input);
  if (auto json = as_json(text)) {
    if (!*json) return tl::unexpected(std::move(json->error()));
    return std::vector<YamlDocument>{{1, std::move(**json)}};
  }
  if (auto bad = control_character(text)) return tl::unexpected(std::move(*bad));
  try {
    std::istringstream stream{text};
    YAML::Parser parser(stream);
    Builder builder;
    while (parser.HandleNextDocument(builder)) {
    }
    return std::move(builder.documents);
  } catch (const Failure& e) {
    return tl::unexpected(failure(e.mark, e.message));
  } catch (const YAML::Exception& e) {
    return tl::unexpected(failure(e.mark, e.msg));
  } catch (const nlohmann::json::exception&) {
    return tl::unexpected(failure(YAML::Mark::null_mark(), "the text is not UTF-8"));
  }
}

}  // namespace gobuildenv::crds
