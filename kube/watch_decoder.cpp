#include "kube/watch_decoder.hpp"

#include <algorithm>
#include <cstring>

#include "kube/padded_json.hpp"
#include "kube/status_error.hpp"

namespace gobuildenv::kube {
namespace {

namespace ondemand = simdjson::ondemand;
using simdjson::SUCCESS;

tl::unexpected<std::string> malformed(const std::string& why) {
  return tl::unexpected("watch event: " + why);
}

}  // namespace

LineSplitter::Space LineSplitter::space() {
  if (begin_ == end_) {
    begin_ = scanned_ = end_ = 0;
    // One giant object must not cost its size for as long as the watch lives.
    if (buffer_.size() > 16 * kChunk) std::vector<char>(kChunk).swap(buffer_);
  } else if (begin_ > 0 && buffer_.size() - end_ < kChunk) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    scanned_ -= begin_;
    end_ -= begin_;
    begin_ = 0;
  }
  if (buffer_.size() - end_ < kChunk) buffer_.resize(std::max(buffer_.size() * 2, end_ + kChunk));
  return {buffer_.data() + end_, buffer_.size() - end_};
}

LineSplitter::Next LineSplitter::next(std::string_view& line) {
  while (begin_ < end_) {
    const char* from = buffer_.data() + scanned_;
    const auto* newline = static_cast<const char*>(std::memchr(from, '\n', end_ - scanned_));
    if (newline == nullptr) {
      scanned_ = end_;
      return end_ - begin_ > max_line_ ? Next::TooLong : Next::NeedMore;
    }
    const auto at = static_cast<std::size_t>(newline - buffer_.data());
    line = {buffer_.data() + begin_, at - begin_};
    begin_ = scanned_ = at + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > max_line_) return Next::TooLong;
    if (!line.empty()) return Next::Line;
  }
  return Next::NeedMore;
}

tl::expected<WatchEvent, std::string> decode_watch_line(std::string_view line) {
  std::string type;
  std::size_t begin = 0;
  std::size_t size = 0;
  auto error = PaddedJson::with_json(line, [&](auto& parsed, const char* base) -> std::string {
    ondemand::document document;
    if (const auto code = std::move(parsed).get(document); code != SUCCESS) {
      return simdjson::error_message(code);
    }
    ondemand::object event;
    if (const auto code = document.get_object().get(event); code != SUCCESS) {
      return simdjson::error_message(code);
    }
    for (auto member : event) {
      std::string_view key;
      if (const auto code = member.unescaped_key().get(key); code != SUCCESS) {
        return simdjson::error_message(code);
      }
      if (key == "type") {
        std::string_view text;
        if (member.value().get_string().get(text) != SUCCESS) return "type is not a string";
        type = text;
      } else if (key == "object") {
        ondemand::object object;
        if (member.value().get_object().get(object) != SUCCESS) return "object is not an object";
        std::string_view raw;
        if (const auto code = object.raw_json().get(raw); code != SUCCESS) {
          return simdjson::error_message(code);
        }
        begin = static_cast<std::size_t>(raw.data() - base);
        size = raw.size();
      }
    }
    // At the end of the text there is no location.
    if (document.current_location().error() == SUCCESS) return "more than one JSON value";
    return {};
  });
  if (!error.empty()) return malformed(error);
  if (size == 0) return malformed("no object");
  // raw_json() ends where the next token begins.
  WatchEvent event;
  event.object = line.substr(begin, size);
  if (const auto last = event.object.find_last_of('}'); last != std::string_view::npos) {
    event.object = event.object.substr(0, last + 1);
  }
  if (type == "ADDED") {
    event.type = WatchEvent::Type::Added;
  } else if (type == "MODIFIED") {
    event.type = WatchEvent::Type::Modified;
  } else if (type == "DELETED") {
    event.type = WatchEvent::Type::Deleted;
  } else if (type == "BOOKMARK") {
    event.type = WatchEvent::Type::Bookmark;
  } else if (type == "ERROR") {
    event.type = WatchEvent::Type::Error;
    event.error = error_from_status(event.object);
  } else {
    return malformed("unknown type " + type.substr(0, 40));
  }
  return event;
}

}  // namespace gobuildenv::kube
